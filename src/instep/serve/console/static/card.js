// A card: the poster, what moved, why it is there, and what can be done with it.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Icon } from "./icons.js";
import { Poster } from "./poster.js";
import { FoundBy, Reasons, Totals, headline } from "./why.js";
import { useWords } from "./words.js";

/** The year of an item, from its attribute `year` or its date of publication. */
export function yearOf(item) {
  const year = item.year;
  if (year != null && year !== "") return String(Math.round(Number(year)) || year);
  return item.published_at ? String(new Date(item.published_at * 1000).getUTCFullYear()) : "";
}

function Movement({ move }) {
  const words = useWords();
  if (!move || move.kind === "same") return null;
  if (move.kind === "new") return html`<span class="move is-new">${words.isNew}</span>`;
  const arrow = move.kind === "up" ? "↑" : "↓";
  return html`<span class=${`move is-${move.kind}`}>${arrow}${move.by}</span>`;
}

/** The movement as words, for screen readers. */
function movementWords(words, move) {
  if (!move || move.kind === "same") return "";
  if (move.kind === "new") return words.newHere;
  return move.kind === "up" ? words.wentUp(move.by) : words.wentDown(move.by);
}

/** Five stars; choosing one rates the item. */
export function Stars({ value, onRate, title, focusable = true, autofocus = false }) {
  const words = useWords();
  const first = useRef(null);
  useEffect(() => autofocus && first.current?.focus(), []);
  return html`<span class="stars" role="group" aria-label=${words.act(words.rate, title)}>
    ${[1, 2, 3, 4, 5].map(
      (n) => html`<button
        type="button"
        class="star"
        key=${n}
        ref=${n === 1 ? first : null}
        tabindex=${focusable ? 0 : -1}
        aria-label=${words.stars(n)}
        title=${words.stars(n)}
        aria-pressed=${value === n}
        onClick=${() => onRate(n)}
      ><${Icon} name="star" filled=${n <= value} /></button>`,
    )}
  </span>`;
}

/** Like, dislike, rate, skip. `act(type, value)` tells the store. */
function Acts({ title, opinion, act, focusable, rating, setRating }) {
  const words = useWords();
  const tab = focusable ? 0 : -1;
  if (rating) {
    const rate = (n) => {
      setRating(false);
      act("rating", n);
    };
    return html`<div class="acts" onKeyDown=${(e) => e.key === "Escape" && setRating(false)}>
      <${Stars} value=${opinion.stars} onRate=${rate} title=${title} focusable=${focusable} autofocus />
    </div>`;
  }
  const button = (name, on, onClick, pressed) => html`<button
    type="button"
    class=${`act act-${name}`}
    tabindex=${tab}
    title=${words[name === "star" ? "rate" : name]}
    aria-label=${words.act(words[name === "star" ? "rate" : name], title)}
    aria-pressed=${pressed}
    onClick=${onClick}
  ><${Icon} name=${name} filled=${on && name !== "dislike"} /></button>`;
  return html`<div class="acts">
    ${button("like", opinion.like, () => act("like"), opinion.like)}
    ${button("dislike", opinion.dislike, () => act("dislike"), opinion.dislike)}
    ${button("star", opinion.stars > 0, () => setRating(true), undefined)}
    ${button("skip", opinion.skip, () => act("skip"), opinion.skip)}
  </div>`;
}

function WhyPanel({ entry, store, id }) {
  const words = useWords();
  const [exact, setExact] = useState(false);
  return html`<div class="why-panel" id=${id} role="region" aria-label=${words.whyOf(store.title(entry.item_id))} tabindex="-1">
    <div class="why-scroll">
      <${Reasons} entry=${entry} store=${store} limit=${exact ? Infinity : 5} exact=${exact} />
      ${exact ? html`<${Totals} entry=${entry} />` : html`<${FoundBy} entry=${entry} />`}
    </div>
    <button type="button" class="link" aria-pressed=${exact} onClick=${() => setExact(!exact)}>${words.exactNumbers}</button>
  </div>`;
}

const KEYS = { l: "like", d: "dislike", s: "skip" };

/**
 * One card of a shelf.
 * @param {{entry: object, store: object, move: object, place: object, current: boolean, onFocus: function}} props
 *   `current`: whether this is the card of its shelf that the Tab key reaches.
 */
export function Card({ entry, store, move, place, current, onFocus, shortcuts }) {
  const words = useWords();
  const [whyOpen, setWhy] = useState(false);
  const [rating, setRating] = useState(false);
  const id = entry.item_id;
  const item = store.item(id);
  const title = store.title(id);
  const year = yearOf(item);
  const opinion = store.opinion(id);
  const act = (type, value) => store.act(type, id, { ...place, value });
  const keys = (event) => {
    if (!shortcuts || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    if (key in KEYS) act(KEYS[key]);
    else if (/^[1-5]$/.test(key)) act("rating", Number(key));
    else if (key === "w") setWhy(!whyOpen);
    else return;
    event.preventDefault();
  };
  const label = [title, year, (item.categories ?? []).map(words.category).join(words.comma), movementWords(words, move)]
    .filter(Boolean)
    .join(words.comma);
  const panel = `why-${place.shelf}-${id}`;
  return html`<article class=${`card${opinion.dislike || opinion.skip ? " is-declined" : ""}`} onKeyDown=${(e) => e.key === "Escape" && setWhy(false)}>
    <div class="face">
      <button type="button" class="poster" data-item=${id} tabindex=${current ? 0 : -1} aria-label=${label}
        onFocus=${onFocus} onKeyDown=${keys} onClick=${() => store.open(id, place)}>
        <${Poster} item=${item} year=${year}><${Movement} move=${move} /><//>
      </button>
      ${whyOpen ? html`<${WhyPanel} entry=${entry} store=${store} id=${panel} />` : null}
    </div>
    <button type="button" class="why" tabindex=${current ? 0 : -1} aria-expanded=${whyOpen} aria-controls=${whyOpen ? panel : null}
      title=${words.why} onClick=${() => setWhy(!whyOpen)}>
      <span class="why-words"><span class="sr">${words.why}${words.colon}</span>${headline(words, store, entry)}</span>
    </button>
    <${Acts} title=${title} opinion=${opinion} act=${act} focusable=${current} rating=${rating} setRating=${setRating} />
  </article>`;
}
