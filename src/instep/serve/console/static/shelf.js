// A shelf: cards in a row or a grid, moved with the arrow keys, animated when their order changes.

import { html, useLayoutEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Card } from "./card.js";
import { useWords } from "./words.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const EASE = "cubic-bezier(0.22, 0.8, 0.24, 1)";

/**
 * Keep the keyboard's place: when the focused card leaves the shelf, the card that took its place gets the focus.
 * Returns what to call when a card is focused, and when the focus goes elsewhere.
 */
function useKeptFocus(list, order) {
  const place = useRef(null);
  useLayoutEffect(() => {
    if (place.current === null || document.activeElement !== document.body) return;
    const posters = list.current?.querySelectorAll(".poster") ?? [];
    // It stands where the focused one stood; while it still slides there, the page must not scroll after it.
    posters[Math.min(place.current, posters.length - 1)]?.focus({ preventScroll: true });
  }, [order]);
  const focused = ({ target }) => {
    place.current = [...list.current.children].indexOf(target.closest("li"));
  };
  const left = ({ target }) => {
    // A card being taken away also loses the focus: only afterwards is it seen whether it is still there.
    queueMicrotask(() => {
      const within = list.current?.contains(document.activeElement);
      if (target.isConnected && !within && document.hasFocus()) place.current = null;
    });
  };
  return { focused, left };
}

/** Slide cards from where they were to where they are, and let new ones appear. Returns a ref for the list. */
function useMovement(order) {
  const list = useRef(null);
  const was = useRef(new Map());
  useLayoutEffect(() => {
    const now = new Map();
    for (const card of list.current?.children ?? []) {
      const id = card.dataset.id;
      now.set(id, { x: card.offsetLeft, y: card.offsetTop });
      if (calm.matches || !was.current.size) continue;
      const old = was.current.get(id);
      if (!old) {
        card.animate([{ opacity: 0, transform: "scale(0.92)" }, { opacity: 1, transform: "none" }], { duration: 420, easing: EASE });
      } else {
        const dx = old.x - card.offsetLeft;
        const dy = old.y - card.offsetTop;
        if (dx || dy) card.animate([{ transform: `translate(${dx}px, ${dy}px)` }, { transform: "none" }], { duration: 520, easing: EASE });
      }
    }
    was.current = now;
  }, [order]);
  return list;
}

/** The card to go to from the `at`-th one with an arrow key, Home or End; undefined to leave the shelf. */
function nextPlace(key, at, cards) {
  if (key === "ArrowRight") return Math.min(at + 1, cards.length - 1);
  if (key === "ArrowLeft") return Math.max(at - 1, 0);
  if (key === "Home") return 0;
  if (key === "End") return cards.length - 1;
  // Up and down: the nearest card of the next row of this shelf, if it has several rows.
  const box = (i) => cards[i].getBoundingClientRect();
  const here = box(at);
  const below = (i) => (key === "ArrowDown" ? box(i).top >= here.bottom - 4 : box(i).bottom <= here.top + 4);
  const rows = cards.map((_, i) => i).filter(below);
  if (!rows.length) return undefined;
  const far = (i) => Math.abs(box(i).top - here.top) * 10 + Math.abs(box(i).left - here.left);
  return rows.reduce((best, i) => (far(i) < far(best) ? i : best));
}

/** Move the focus to the shelf above or below, to the card that its Tab stop is. */
function toOtherShelf(from, key) {
  const shelves = [...document.querySelectorAll("section.shelf:has(.poster)")];
  const there = shelves[shelves.indexOf(from) + (key === "ArrowDown" ? 1 : -1)];
  there?.querySelector('.poster[tabindex="0"]')?.focus();
}

function Skeletons() {
  return html`<ul class="cards" aria-hidden="true">
    ${[0, 1, 2, 3, 4, 5].map((i) => html`<li key=${i}><div class="skeleton"></div></li>`)}
  </ul>`;
}

/**
 * A titled shelf.
 * @param {{name: string, heading: any, shelf: object, store: object, shortcuts: boolean}} props
 */
export function Shelf({ name, heading, note, shelf, store, shortcuts, children }) {
  const words = useWords();
  const [focused, setFocused] = useState(null);
  const order = shelf.items.map((entry) => entry.item_id).join("\n");
  const list = useMovement(order);
  const keep = useKeptFocus(list, order);
  const reachable = shelf.items.some((entry) => entry.item_id === focused) ? focused : shelf.items[0]?.item_id;
  const arrows = (event) => {
    if (!event.target.classList.contains("poster")) return;
    if (!["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const posters = [...list.current.querySelectorAll(".poster")];
    const next = nextPlace(event.key, posters.indexOf(event.target), posters);
    if (next === undefined) toOtherShelf(list.current.closest("section"), event.key);
    else posters[next].focus();
  };
  const body = () => {
    if (shelf.status === "loading" && !shelf.items.length) return html`<${Skeletons} />`;
    if (!shelf.items.length && shelf.status === "failed") return null; // the problem itself is shown beside the shelves
    if (!shelf.items.length) return html`<p class="muted empty">${words.emptyShelf}</p>`;
    return html`<ul class="cards" role="list" ref=${list} onKeyDown=${arrows} onfocusin=${keep.focused} onfocusout=${keep.left}>
      ${shelf.items.map(
        (entry, position) => html`<li key=${entry.item_id} data-id=${entry.item_id}>
          <${Card} entry=${entry} store=${store} move=${shelf.moves?.get(entry.item_id)} shortcuts=${shortcuts}
            place=${{ shelf: name, slate: shelf.slate, position }}
            current=${entry.item_id === reachable} onFocus=${() => setFocused(entry.item_id)} />
        </li>`,
      )}
    </ul>`;
  };
  return html`<section class=${`shelf shelf-${name}`} aria-labelledby=${`shelf-${name}`} aria-busy=${shelf.status === "loading"}>
    <div class="shelf-head"><h2 id=${`shelf-${name}`}>${heading}</h2>${note ? html`<p class="muted">${note}</p>` : null}</div>
    ${children}
    ${body()}
    ${shelf.gone?.length
      ? html`<p class="gone"><span>${words.left}</span>${shelf.gone.map((id) => html`<s key=${id} translate=${false}>${store.title(id)}</s>`)}</p>`
      : null}
  </section>`;
}
