// One item, opened: everything known about it, why it is here, what is like it. How long it stays open is its dwell.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Stars, yearOf } from "./card.js";
import { Dialog } from "./dialog.js";
import { Icon } from "./icons.js";
import { Poster } from "./poster.js";
import { FoundBy, Numbers, Reasons } from "./why.js";
import { useWords } from "./words.js";

/** Seconds the item has been open and visible, ticking once a second; `now()` gives them exactly. */
function useDwell() {
  const clock = useRef({ spent: 0, since: document.hidden ? null : performance.now() });
  const now = () => (clock.current.spent + (clock.current.since === null ? 0 : performance.now() - clock.current.since)) / 1000;
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const visible = () => {
      const { since } = clock.current;
      if (document.hidden && since !== null) clock.current = { spent: clock.current.spent + performance.now() - since, since: null };
      if (!document.hidden && since === null) clock.current.since = performance.now();
    };
    const tick = setInterval(() => setSeconds(Math.floor(now())), 1000);
    document.addEventListener("visibilitychange", visible);
    return () => {
      clearInterval(tick);
      document.removeEventListener("visibilitychange", visible);
    };
  }, []);
  return { seconds, now };
}

/** The entry of the shelf the item was opened from, with its reasons; without one there is nothing to explain. */
function useEntry(store, detail) {
  const first = useRef(null);
  if (first.current?.id !== detail.id) {
    const shelf = store.state.shelves[detail.place.shelf];
    const entry = (shelf ?? store.state.search).items?.find((candidate) => candidate.item_id === detail.id) ?? null;
    first.current = { id: detail.id, entry };
  }
  return first.current.entry;
}

// Fields that the dialog shows elsewhere, or that say nothing to a viewer; every other one is listed.
const SHOWN = new Set(["item_id", "title", "description", "categories", "year", "published_at", "expires_at", "hidden", "image", "audio"]);

function Facts({ item }) {
  const words = useWords();
  const facts = Object.entries(item).filter(([name, value]) => !SHOWN.has(name) && value != null && value !== "" && typeof value !== "object");
  if (!facts.length) return null;
  return html`<dl class="facts">
    ${facts.map(([name, value]) => [html`<dt key=${name} translate=${false}>${words.field(name)}</dt>`, html`<dd translate=${false}>${String(value)}</dd>`])}
  </dl>`;
}

function Opinion({ store, detail, title }) {
  const words = useWords();
  const opinion = store.opinion(detail.id);
  const act = (type, value) => store.act(type, detail.id, { ...detail.place, value });
  const button = (name) => html`<button type="button" class=${`choice act-${name}`} aria-pressed=${opinion[name]} onClick=${() => act(name)}>
    <${Icon} name=${name} filled=${opinion[name] && name === "like"} /> ${words[name]}
  </button>`;
  return html`<div class="choices">
    ${button("like")} ${button("dislike")} ${button("skip")}
    <${Stars} value=${opinion.stars} title=${title} onRate=${(n) => act("rating", n)} />
  </div>`;
}

function Alike({ store, detail, title }) {
  const words = useWords();
  if (!detail.similar?.length) return null;
  const seconds = detail.seconds;
  return html`<section class="alike">
    <h3>${words.moreLike(title)}</h3>
    <ul class="cards" role="list">
      ${detail.similar.map((entry) => {
        const item = store.item(entry.item_id);
        return html`<li key=${entry.item_id}>
          <button type="button" class="poster" aria-label=${words.act(words.open, store.title(entry.item_id))}
            onClick=${() => { store.close(seconds()); store.open(entry.item_id); }}>
            <${Poster} item=${item} year=${yearOf(item)} />
          </button>
        </li>`;
      })}
    </ul>
  </section>`;
}

/** The dialog of an opened item. */
export function Detail({ store, detail }) {
  const words = useWords();
  const { seconds, now } = useDwell();
  const entry = useEntry(store, detail);
  const [exact, setExact] = useState(false);
  useEffect(() => {
    // Leaving the page ends the visit as closing the dialog does.
    const leave = () => store.close(now());
    addEventListener("pagehide", leave);
    return () => removeEventListener("pagehide", leave);
  }, []);
  const item = store.item(detail.id);
  const title = store.title(detail.id);
  const browse = (category) => {
    store.close(now());
    void store.browse(category);
  };
  return html`<${Dialog} label=${title} kind="detail" onClose=${() => store.close(now())}>
    <div class="detail-poster"><${Poster} item=${item} year=${yearOf(item)} /></div>
    <div class="detail-words">
      <h2 translate=${false} dir="auto">${title}</h2>
      <p class="detail-meta">
        ${yearOf(item) ? html`<span>${yearOf(item)}</span>` : null}
        ${(item.categories ?? []).map((name) => html`<button type="button" class="chip" key=${name} onClick=${() => browse(name)}>${words.category(name)}</button>`)}
      </p>
      ${item.description ? html`<p class="description" translate=${false} dir="auto">${item.description}</p>` : null}
      <${Opinion} store=${store} detail=${detail} title=${title} />
      ${entry?.reasons?.length
        ? html`<section class="detail-why">
            <h3>${words.why}</h3>
            <${Reasons} entry=${entry} store=${store} limit=${6} />
            ${exact ? null : html`<${FoundBy} entry=${entry} />`}
            <button type="button" class="link" aria-expanded=${exact} onClick=${() => setExact(!exact)}>${words.exactNumbers}</button>
            ${exact ? html`<${Numbers} entry=${entry} store=${store} />` : null}
          </section>`
        : null}
      <${Facts} item=${item} />
      <p class="muted dwell"><${Icon} name="dwell" /> ${words.dwellNote(seconds)}</p>
    </div>
    <${Alike} store=${store} detail=${{ ...detail, seconds: now }} title=${title} />
  <//>`;
}
