// The page: header, shelves, history, dialogs.

import { html, render, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { Detail } from "./detail.js";
import { Dialog } from "./dialog.js";
import { KeyDialog, LanguageSwitch, Problems } from "./header.js";
import { History } from "./history.js";
import { Icon } from "./icons.js";
import { People, nameOf } from "./people.js";
import { Shelf } from "./shelf.js";
import { Store } from "./store.js";
import { Words, firstLanguage, rememberLanguage, useWords, wordsOf } from "./words.js";

const SHORTCUTS = "instep.shortcuts";
const FEW = 10; // categories shown before "more"

function SearchField({ store, field }) {
  const words = useWords();
  const [text, setText] = useState("");
  const wait = useRef(0);
  const type = (value) => {
    setText(value);
    clearTimeout(wait.current);
    wait.current = setTimeout(() => store.search(value), value.trim() ? 350 : 0);
  };
  const submit = (event) => {
    event.preventDefault();
    clearTimeout(wait.current);
    void store.search(text);
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <label class="sr" for="search">${words.search}</label>
    <${Icon} name="search" />
    <input id="search" ref=${field} type="text" enterkeyhint="search" autocomplete="off" placeholder=${words.searchHint}
      value=${text} onInput=${(e) => type(e.target.value)}
      onKeyDown=${(e) => e.key === "Escape" && text && (e.stopPropagation(), type(""))} />
    ${text ? html`<button type="button" class="search-clear" aria-label=${words.clearSearch} title=${words.clearSearch} onClick=${() => { type(""); field.current.focus(); }}><${Icon} name="close" /></button>` : null}
  </form>`;
}

function Header({ store, language, onSwitch, onPeople, onHelp, field }) {
  const words = useWords();
  return html`<header class="top">
    <a class="brand" href="./" translate=${false}><img src="./console/icon.svg" alt="" width="28" height="28" />Instep</a>
    <${SearchField} store=${store} field=${field} />
    <div class="top-end">
      <button type="button" class="who" aria-haspopup="dialog" onClick=${onPeople}>
        <${Icon} name="person" /><span class="sr">${words.who}${words.colon}</span><span class="who-name">${nameOf(words, store.state.who)}</span><${Icon} name="down" />
      </button>
      <${LanguageSwitch} language=${language} onSwitch=${onSwitch} />
      <a class="lab-link" href="./experiments" aria-label=${words.lab.title} title=${words.lab.title}><${Icon} name="flask" /></a>
      <a class="lab-link" href="./models" aria-label=${words.models.title} title=${words.models.title}><${Icon} name="layers" /></a>
      <button type="button" class="round" aria-haspopup="dialog" aria-label=${words.help} title=${words.help} onClick=${onHelp}>?</button>
    </div>
  </header>`;
}

/** What the last act did, said aloud; and how fast and how fresh the last answer was. */
function Pulse({ store }) {
  const words = useWords();
  const { news, ms, asOf, degraded, busy } = store.state;
  const said = () => {
    if (!news) return "";
    if ("browsed" in news) return words.browsed(news.browsed && words.category(news.browsed)) + words.space + words.moved(news.counts);
    if (news.became) return words.became(nameOf(words, news.became));
    if (news.merged) return words.merged(words.user(news.merged));
    return `${words.did(news.type, store.title(news.id), news.value)}${words.space}${words.moved(news.counts)}`;
  };
  return html`<div class="pulse">
    <p class="news" role="status" aria-live="polite">${said()}</p>
    <p class="figures">
      ${degraded.length ? html`<span class="warn">${words.degraded(degraded.join(words.comma))}</span>` : null}
      ${ms !== null ? html`<span>${words.answeredIn(ms < 10 ? ms.toFixed(1) : words.whole(ms))}</span>` : null}
      ${asOf !== null ? html`<span key=${asOf} class="learned">${words.learnedTo(words.whole(asOf))}</span>` : null}
    </p>
    <span class=${`progress${busy ? " is-busy" : ""}`} aria-hidden="true"></span>
  </div>`;
}

function Categories({ store }) {
  const words = useWords();
  const [all, setAll] = useState(false);
  const { categories, category } = store.state;
  if (!categories.length) return null;
  const shown = categories.filter((name, i) => all || i < FEW || name === category);
  const chip = (name, label) => html`<button type="button" class="chip" key=${name ?? ""} aria-pressed=${name === category} onClick=${() => store.browse(name)}>${label}</button>`;
  return html`<div class="chips" role="group" aria-labelledby="browse">
    <h2 id="browse">${words.browse}</h2>
    ${chip(null, words.allCategories)} ${shown.map((name) => chip(name, words.category(name)))}
    ${categories.length > FEW
      ? html`<button type="button" class="chip chip-more" aria-expanded=${all} onClick=${() => setAll(!all)}>
          ${all ? words.fewerCategories : words.moreCategories(categories.length - FEW)}
        </button>`
      : null}
  </div>`;
}

function Shelves({ store, shortcuts }) {
  const words = useWords();
  const { shelves, seed, history, category, search, categories } = store.state;
  const shelf = (name, heading, note) =>
    html`<${Shelf} key=${name} name=${name} heading=${heading} note=${note} shelf=${shelves[name]} store=${store} shortcuts=${shortcuts} />`;
  useEffect(() => {
    if (search.status === "loading") document.getElementById("shelf-search")?.scrollIntoView({ block: "nearest" });
  }, [search.status]);
  const bare = shelves.foryou.status === "ready" && !shelves.foryou.items.length && !shelves.trending.items.length && !categories.length;
  return html`<main id="shelves" tabindex="-1">
    ${search.status === "idle"
      ? null
      : html`<${Shelf} name="search" heading=${search.status === "ready" && !search.items.length ? words.searchNothing(search.text) : words.searchResults(search.text)}
          shelf=${search} store=${store} shortcuts=${shortcuts} />`}
    ${bare ? html`<p class="bare">${words.emptyCatalogue}</p>` : null}
    ${shelf("foryou", words.forYou, history?.length === 0 ? words.newcomer : null)}
    ${seed ? shelf("because", words.becauseYou(seed.type, store.title(seed.item_id))) : null}
    ${shelf("trending", words.trending)}
    <${Categories} store=${store} />
    ${category ? shelf("category", words.trendingIn(words.category(category))) : null}
  </main>`;
}

function Help({ shortcuts, onShortcuts, onClose }) {
  const words = useWords();
  return html`<${Dialog} label=${words.help} kind="help" onClose=${onClose}>
    <h2>${words.help}</h2>
    <dl class="shortcuts">
      ${words.shortcuts.map(([keys, what]) => [html`<dt key=${keys}>${keys.split(" ").map((key) => html`<kbd translate=${false}>${key}</kbd>`)}</dt>`, html`<dd>${what}</dd>`])}
    </dl>
    <label class="check"><input type="checkbox" checked=${shortcuts} onChange=${(e) => onShortcuts(e.target.checked)} /> ${words.shortcutsSwitch}</label>
  <//>`;
}

/** Page-wide keys, unless the viewer is typing, in a dialog, or has switched them off. */
function usePageKeys(shortcuts, actions) {
  useEffect(() => {
    const press = (event) => {
      if (!shortcuts || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (event.target.closest("input, textarea, select, dialog")) return;
      const action = actions[event.key.toLowerCase()];
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [shortcuts]);
}

function App({ store }) {
  const [, draw] = useState(0);
  const [language, setLanguage] = useState(firstLanguage);
  const [open, setOpen] = useState(null); // null | "people" | "help"
  const [shortcuts, setShortcuts] = useState(localStorage.getItem(SHORTCUTS) !== "off");
  const field = useRef(null);
  const words = useMemo(() => wordsOf(language), [language]);
  useEffect(() => store.subscribe(() => draw((n) => n + 1)), []);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = words.pageTitle;
  }, [language]);
  usePageKeys(shortcuts, {
    "/": () => field.current.focus(),
    u: () => setOpen("people"),
    "?": () => setOpen("help"),
  });
  // A browser tells that a dialog closed some time after it did: another may be open by then.
  const shut = (dialog) => setOpen((now) => (now === dialog ? null : now));
  const switchTo = (tag) => {
    rememberLanguage(tag);
    setLanguage(tag);
  };
  const switchShortcuts = (on) => {
    localStorage.setItem(SHORTCUTS, on ? "on" : "off");
    setShortcuts(on);
  };
  const { who, history, detail, needsKey } = store.state;
  return html`<${Words.Provider} value=${words}>
    <a class="skip-link" href="#shelves">${words.skipToShelves}</a>
    <${Header} store=${store} language=${language} onSwitch=${switchTo} field=${field}
      onPeople=${() => setOpen("people")} onHelp=${() => setOpen("help")} />
    <${Pulse} store=${store} />
    <div class="page"><${Shelves} store=${store} shortcuts=${shortcuts} /><${History} store=${store} who=${who} history=${history} /></div>
    <${Problems} problems=${store.state.problems} onRetry=${(problem) => store.retry(problem)} onDismiss=${(problem) => store.dismiss(problem)} />
    ${detail ? html`<${Detail} key=${detail.id} store=${store} detail=${detail} />` : null}
    ${open === "people" ? html`<${People} store=${store} who=${who} onClose=${() => shut("people")} />` : null}
    ${open === "help" ? html`<${Help} shortcuts=${shortcuts} onShortcuts=${switchShortcuts} onClose=${() => shut("help")} />` : null}
    ${needsKey ? html`<${KeyDialog} onKey=${(key) => void store.useKey(key)} onClose=${() => store.set({ needsKey: false })} />` : null}
  <//>`;
}

const store = new Store();
render(html`<${App} store=${store} />`, document.getElementById("app"));
void store.start();
