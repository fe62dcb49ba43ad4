// The experiments page: what runs, what it has shown, and what can be done about it.

import { html, render, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import * as api from "./api.js";
import { KeyDialog, LanguageSwitch, Problems } from "./header.js";
import { Results } from "./results.js";
import { Words, firstLanguage, rememberLanguage, useWords, wordsOf } from "./words.js";

const EVERY_MS = 5000;
const EXAMPLE = {
  name: "greedy-or-not",
  arms: [
    { name: "control", share: 0.5 },
    { name: "greedy", share: 0.5, settings: { policy: "greedy" } },
  ],
  metric: { type: "click" },
  guardrails: [{ type: "dislike", goal: "decrease" }],
};

/** A definition as JSON, launched as it stands; the service says what is wrong with it. */
function Launch({ onLaunch }) {
  const words = useWords().lab;
  const [text, setText] = useState(JSON.stringify(EXAMPLE, null, 2));
  const [wrong, setWrong] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    let definition;
    try {
      definition = JSON.parse(text);
    } catch {
      return setWrong(words.notJson);
    }
    setWrong((await onLaunch(definition)) ?? "");
  };
  return html`<details class="launch">
    <summary>${words.launchTitle}</summary>
    <form onSubmit=${submit}>
      <label for="definition">${words.definition}</label>
      <p class="muted" id="definition-note">${words.definitionNote}</p>
      <textarea id="definition" class="field" rows="16" spellcheck=${false} translate=${false} aria-describedby="definition-note"
        value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
      <p class="warn" role="alert" translate=${false}>${wrong}</p>
      <button class="button primary">${words.launch}</button>
    </form>
  </details>`;
}

/** A button that asks before it acts. */
function Sure({ label, question, danger = false, onSure }) {
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

function Experiment({ found, onChange }) {
  const words = useWords();
  const lab = words.lab;
  const facts = [
    lab.kinds[found.kind],
    lab.launched(words.ago(found.launched)),
    found.ended === null ? null : lab.ended(words.ago(found.ended)),
  ];
  const id = `experiment-${encodeURIComponent(found.name)}`; // a list of ids is split at spaces
  const act = (verb, body) => onChange(found.name, verb, body);
  return html`<article class="experiment" aria-labelledby=${id}>
    <header class="experiment-head">
      <h2 id=${id} translate=${false}>${found.name}</h2>
      <span class=${`status ${found.status}`}>${lab.statuses[found.status]}</span>
      <p class="muted">
        ${facts.filter(Boolean).join(" · ")} · ${lab.layer} <span translate=${false}>${found.layer}</span>
        ${found.surfaces.length ? html` · ${lab.surfaces} <span translate=${false}>${found.surfaces.join(words.comma)}</span>` : null}
      </p>
    </header>
    ${found.harm ? html`<p class="note harm">${lab.harm(found.harm)}</p>` : found.reason ? html`<p class="note">${lab.reason}${words.colon}<span translate=${false}>${found.reason}</span></p>` : null}
    ${found.shares_doubted ? html`<p class="note harm">${lab.sharesDoubted}</p>` : null}
    <${Results} found=${found} />
    <p class="muted">${lab.bounds(words.percent(found.alpha))}</p>
    <div class="row">
      ${found.status === "running" ? html`<${Sure} key="stop" label=${lab.stop} question=${lab.stopAsk} danger=${true} onSure=${() => act("stop", {})} />` : null}
      ${found.status === "promoted"
        ? html`<span>${lab.promoted} <strong translate=${false}>${found.promoted}</strong></span>
            <${Sure} key="rollback" label=${lab.rollBack} question=${lab.rollBackAsk} danger=${true} onSure=${() => act("rollback", {})} />`
        : found.arms.map(
            (arm) => html`<${Sure} key=${arm.name} label=${lab.promote(arm.name)} question=${lab.promoteAsk} onSure=${() => act("promote", { arm: arm.name })} />`,
          )}
    </div>
  </article>`;
}

function Page() {
  const [language, setLanguage] = useState(firstLanguage);
  const [found, setFound] = useState(null);
  const [problems, setProblems] = useState([]);
  const [needsKey, setNeedsKey] = useState(false);
  const words = useMemo(() => wordsOf(language), [language]);
  const latest = useRef(0);

  const fail = (error) => {
    if (!(error instanceof api.Problem)) throw error;
    if (error.status === 401) return setNeedsKey(true);
    setProblems((all) => (all.some((p) => p.title === error.title && p.detail === error.detail) ? all : [...all, error]));
  };
  const load = async () => {
    const turn = ++latest.current;
    try {
      const { data } = await api.experiments();
      if (turn === latest.current) setFound(data.experiments);
      setProblems((all) => all.filter((problem) => !problem.passing));
    } catch (error) {
      fail(error);
    }
  };
  const change = async (name, verb, body) => {
    try {
      await api.changeExperiment(name, verb, body);
      await load();
    } catch (error) {
      fail(error);
    }
  };
  /** Launches a definition; resolves to what is wrong with it, in the service's words. */
  const launch = async (definition) => {
    try {
      await api.launchExperiment(definition);
      await load();
    } catch (error) {
      if (error.status === 422) return error.detail;
      fail(error);
    }
    return undefined;
  };
  useEffect(() => {
    void load();
    const timer = setInterval(() => document.hidden || void load(), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = words.lab.pageTitle;
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
      <h1>${words.lab.title}</h1>
      <p class="muted lead">${words.lab.lead}</p>
      ${found === null
        ? html`<p class="muted" role="status">${words.loading}</p>`
        : found.length === 0
          ? html`<p class="bare">${words.lab.none}</p>`
          : found.map((one) => html`<${Experiment} key=${one.name} found=${one} onChange=${change} />`)}
      <${Launch} onLaunch=${launch} />
    </main>
    <${Problems} problems=${problems} onRetry=${(problem) => (dismiss(problem), void load())} onDismiss=${dismiss} />
    ${needsKey ? html`<${KeyDialog} onKey=${withKey} onClose=${() => setNeedsKey(false)} />` : null}
  <//>`;
}

render(html`<${Page} />`, document.getElementById("app"));
