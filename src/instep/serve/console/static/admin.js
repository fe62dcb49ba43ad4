// What the pages for administrators share: header, language, the key that is asked for, what went wrong.

import { html, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { KeyDialog, LanguageSwitch, Problems } from "./header.js";
import { Words, firstLanguage, rememberLanguage, useWords, wordsOf } from "./words.js";

const EVERY_MS = 5000;

/** A button that asks before it acts. */
export function Sure({ label, question, danger = false, onSure }) {
  const words = useWords();
  const [asked, setAsked] = useState(false);
  if (!asked) return html`<button type="button" class=${`button${danger ? " danger-quiet" : ""}`} onClick=${() => setAsked(true)}>${label}</button>`;
  const sure = () => {
    setAsked(false);
    onSure();
  };
  return html`<span class="sure row">
    <span>${question}</span>
    <button type="button" class="button primary" onClick=${sure}>${label}</button>
    <button type="button" class="button" onClick=${() => setAsked(false)}>${words.cancel}</button>
  </span>`;
}

/**
 * A page that shows what `read` resolves to, asks for it every five seconds, and tells what goes wrong.
 *
 * `section` names its words. Its child is a function of `found` (null until the first answer) and `act`, which runs a
 * change and reads again.
 */
export function AdminPage({ section, read, children }) {
  const [language, setLanguage] = useState(firstLanguage);
  const [found, setFound] = useState(null);
  const [problems, setProblems] = useState([]);
  const [needsKey, setNeedsKey] = useState(false);
  const words = useMemo(() => wordsOf(language), [language]);
  const latest = useRef(0);
  const own = words[section];

  const fail = (error) => {
    if (!(error instanceof api.Problem)) throw error;
    if (error.status === 401) return setNeedsKey(true);
    setProblems((all) => (all.some((p) => p.title === error.title && p.detail === error.detail) ? all : [...all, error]));
  };
  const load = async () => {
    const turn = ++latest.current;
    try {
      const answer = await read();
      if (turn === latest.current) setFound(answer);
      setProblems((all) => all.filter((problem) => !problem.passing));
    } catch (error) {
      fail(error);
    }
  };
  const act = async (change) => {
    try {
      await change();
      await load();
    } catch (error) {
      fail(error);
    }
  };
  useEffect(() => {
    void load();
    const timer = setInterval(() => document.hidden || void load(), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = own.pageTitle;
  }, [language]);
  const switchTo = (tag) => {
    rememberLanguage(tag);
    setLanguage(tag);
  };
  const withKey = (key) => {
    api.setKey(key);
    setNeedsKey(false);
    setProblems([]);
    void load();
  };
  const dismiss = (problem) => setProblems((all) => all.filter((p) => p !== problem));
  return html`<${Words.Provider} value=${words}>
    <header class="top lab-top">
      <a class="brand" href="./" translate=${false}><img src="./console/icon.svg" alt="" width="28" height="28" />Instep</a>
      <div class="top-end"><a class="link" href="./">${words.lab.back}</a><${LanguageSwitch} language=${language} onSwitch=${switchTo} /></div>
    </header>
    <main class="lab">
      <h1>${own.title}</h1>
      <p class="muted lead">${own.lead}</p>
      ${children({ found, act })}
    </main>
    <${Problems} problems=${problems} onRetry=${(problem) => (dismiss(problem), void load())} onDismiss=${dismiss} />
    ${needsKey ? html`<${KeyDialog} onKey=${withKey} onClose=${() => setNeedsKey(false)} />` : null}
  <//>`;
}
