// Line icons on a 20 x 20 field. They always stand beside, or inside a button with, words.

import { html } from "./vendor/htm-preact.js";

const PATHS = {
  like: "M7 16.500h6.500a1.800 1.800 0 0 0 1.700-1.300l1.200-4.400A1.900 1.900 0 0 0 14.600 8.400H11.200l.6-3.300a1.500 1.500 0 0 0-2.800-.9L7 8.500H4v8z",
  dislike: "M7 3.500h6.500a1.800 1.800 0 0 1 1.700 1.300l1.200 4.400a1.900 1.900 0 0 1-1.800 2.400H11.200l.6 3.300a1.500 1.500 0 0 1-2.800.9L7 11.500H4v-8z",
  star: "m10 3 2.2 4.5 4.9.7-3.6 3.5.9 4.9L10 14.300l-4.400 2.300.9-4.900-3.600-3.500 4.900-.7z",
  skip: "M4 4.500 11 10l-7 5.500zM14.500 4.500v11",
  open: "M7 4H4v12h12v-3M10.500 4H16v5.500M16 4l-7 7",
  search: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4zM12.700 12.700 17 17",
  close: "M5 5l10 10M15 5 5 15",
  person: "M10 10a3.200 3.200 0 1 0 0-6.400 3.200 3.200 0 0 0 0 6.400zM4 17c.6-3.200 3-4.700 6-4.700s5.400 1.500 6 4.700",
  down: "m5.500 8 4.500 4.500L14.500 8",
  why: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 9.200v4M10 6.600v.1",
  dwell: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 6v4.200l2.800 1.800",
  cart: "M3 4h2l2 8.500h7.500L16 7H6M8 16h.1M13.500 16h.1",
  purchase: "M5 7h10l.8 9.500H4.200zM7.500 9V6a2.500 2.500 0 0 1 5 0v3",
  share: "M6 12a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM14 7a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM14 17a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7.800 9l4.400-3M7.800 11l4.400 3",
  flask: "M8 3h4M8.500 3v5l-4.300 7.200A1.200 1.200 0 0 0 5.200 17h9.600a1.200 1.200 0 0 0 1-1.800L11.500 8V3M6.500 12.500h7",
  layers: "m10 3 7 3.500-7 3.500-7-3.500zM3 10l7 3.500 7-3.500M3 13.500 10 17l7-3.500",
  view: "M2.500 10S5 5 10 5s7.500 5 7.500 5-2.500 5-7.500 5-7.500-5-7.500-5zM10 12.200a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400z",
};
const ALIAS = { click: "open", rating: "star" };

/** A decorative icon; an unknown name draws a dot. */
export function Icon({ name, filled = false }) {
  const path = PATHS[ALIAS[name] ?? name] ?? "M10 9v2";
  return html`<svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
    <path d=${path} fill=${filled ? "currentColor" : "none"} stroke="currentColor" />
  </svg>`;
}
