// A poster drawn from an item's words: the category gives the colour, the title the drawing and the type.

import { html } from "./vendor/htm-preact.js";

/** FNV-1a, 32 bits: small, and the same in every browser. */
export function hash(text) {
  let h = 0x811c9dc5;
  for (const char of text) h = Math.imul(h ^ char.codePointAt(0), 0x01000193) >>> 0;
  return h;
}

/** A stream of numbers in [0, 1) that only depends on the seed. */
function numbers(seed) {
  let s = seed || 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 4294967296;
  };
}

/**
 * The colour of an item, as a hue in degrees: items of the same categories look akin, `shade` (0 to 1) sets them apart.
 * The hues from yellow to yellow-green (60 to 145) are left out: dark, they are mud.
 */
function hue(categories, shade) {
  const place = (hash(categories.join("|")) * 137.508 + (shade - 0.5) * 80 + 275) % 275;
  return (145 + place) % 360;
}

const range = (n) => Array.from({ length: n }, (_, i) => i);

// Each drawing fills a 200 x 300 field; `a` is the light colour, `b` the middle one, `r` the numbers.
const DRAWINGS = [
  // a sun behind lines
  (a, b, r) => {
    const y = 90 + r() * 60;
    const radius = 52 + r() * 22;
    return html`<circle cx=${60 + r() * 80} cy=${y} r=${radius} fill=${a} />
      ${range(9).map((i) => html`<rect x="0" y=${y + 4 + i * 13} width="200" height=${2 + i * 1.1} fill=${b} />`)}`;
  },
  // rings from a corner
  (a, b, r) => {
    const x = r() < 0.5 ? 0 : 200;
    return range(7).map(
      (i) =>
        html`<circle cx=${x} cy="0" r=${26 + i * 27} fill="none" stroke=${i % 3 === 1 ? a : b} stroke-width="11" />`,
    );
  },
  // slanted bands
  (a, b, r) => {
    const lean = 40 + r() * 80;
    return range(6).map(
      (i) =>
        html`<path
          d=${`M${-60 + i * 52} 0h${14 + r() * 20}l${-lean} 210h-${16 + r() * 10}z`}
          fill=${i % 2 ? a : b}
          opacity=${0.55 + r() * 0.4}
        />`,
    );
  },
  // a field of dots
  (a, b, r) => {
    const fx = r() * 200;
    const fy = r() * 160;
    return range(80).map((i) => {
      const x = 14 + (i % 8) * 25;
      const y = 16 + Math.floor(i / 8) * 21;
      const near = Math.max(0, 1 - Math.hypot(x - fx, y - fy) / 170);
      return html`<circle cx=${x} cy=${y} r=${1.6 + near * 9} fill=${near > 0.45 ? a : b} />`;
    });
  },
  // hills
  (a, b, r) => {
    const wave = (y, h, s) => `M0 ${y}C${50 - s} ${y - h} ${80 + s} ${y + h} 120 ${y}S180 ${y - h} 200 ${y}V300H0z`;
    return html`<circle cx=${40 + r() * 120} cy=${52 + r() * 20} r=${16 + r() * 16} fill=${a} />
      ${range(4).map((i) => html`<path d=${wave(118 + i * 30, 22 + r() * 34, r() * 30)} fill=${b} opacity=${0.4 + i * 0.14} />`)}`;
  },
  // quarter circles
  (a, b, r) =>
    range(12).map((i) => {
      const x = (i % 3) * 67;
      const y = Math.floor(i / 3) * 67 - 30;
      const turn = Math.floor(r() * 4) * 90;
      if (r() < 0.22) return null;
      return html`<path
        d="M0 0H67.4A67.4 67.4 0 0 1 0 67.4z"
        fill=${r() < 0.4 ? a : b}
        transform=${`translate(${x} ${y}) rotate(${turn} 33.3 33.3)`}
      />`;
    }),
  // rays
  (a, b, r) => {
    const x = 40 + r() * 120;
    const step = Math.PI / 9;
    const turn = r();
    const point = (angle) => `${x + 420 * Math.cos(angle)} ${100 + 420 * Math.sin(angle)}`;
    return html`${range(9).map((i) => {
        const angle = turn + i * 2 * step;
        return html`<path d=${`M${x} 100L${point(angle)}L${point(angle + step)}z`} fill=${b} opacity="0.75" />`;
      })}
      <circle cx=${x} cy="100" r=${20 + r() * 16} fill=${a} />`;
  },
  // a skyline
  (a, b, r) =>
    range(9).map((i) => {
      const top = 30 + r() * 110;
      return html`<rect x=${i * 23 - 3} y=${top} width=${17 + r() * 8} height="300" fill=${r() < 0.28 ? a : b} opacity=${0.55 + r() * 0.4} />`;
    }),
  // a crescent
  (a, b, r) => {
    const x = 70 + r() * 60;
    const y = 80 + r() * 40;
    return html`${range(16).map(() => html`<circle cx=${r() * 200} cy=${r() * 190} r=${0.8 + r() * 1.8} fill=${a} />`)}
      <circle cx=${x} cy=${y} r="56" fill=${a} /><circle cx=${x + 22 + r() * 14} cy=${y - 12} r="50" fill=${b} />`;
  },
  // tall arches
  (a, b, r) =>
    range(5).map(
      (i) =>
        html`<path
          d=${`M${20 + i * 16} 300V${60 + i * 18}a${80 - i * 16} ${80 - i * 16} 0 0 1 ${160 - i * 32} 0V300z`}
          fill=${i === 4 ? a : b}
          opacity=${i === 4 ? 1 : 0.22 + i * 0.15 + r() * 0.06}
        />`,
    ),
];

const FACES = ["serif", "narrow", "sans"];

/** Everything drawn, as data: the colours, the drawing's number and the typeface. */
export function look(item) {
  const seed = hash(item.title || item.item_id);
  const r = numbers(seed);
  const h = hue(item.categories ?? [], r());
  const other = (h + (r() < 0.5 ? 38 : 160) + r() * 30) % 360;
  return {
    ground: `oklch(${(0.27 + r() * 0.08).toFixed(3)} ${(0.06 + r() * 0.05).toFixed(3)} ${h.toFixed(0)})`,
    light: `oklch(${(0.76 + r() * 0.08).toFixed(3)} ${(0.1 + r() * 0.05).toFixed(3)} ${other.toFixed(0)})`,
    middle: `oklch(${(0.44 + r() * 0.08).toFixed(3)} ${(0.09 + r() * 0.04).toFixed(3)} ${h.toFixed(0)})`,
    drawing: seed % DRAWINGS.length,
    face: FACES[Math.floor(r() * FACES.length)],
    r,
  };
}

const width = (text) => Array.from(text, (char) => (char.codePointAt(0) > 0x2e7f ? 2 : 1)).reduce((a, b) => a + b, 0);

/**
 * The size of the title: long titles, and titles with a long word, are set smaller. Wide (CJK) characters count twice.
 * A face in capitals is a fifth wider where its narrow font is missing.
 */
export function size(title, face) {
  const broad = face === "narrow" ? 1.2 : 1;
  const whole = width(title);
  // A run of CJK characters may break anywhere, so only words of narrow ones hold a title back.
  const word = broad * Math.max(...title.split(/[\s\-/\u2e80-\uffff]+/).map(width));
  const fits = (all, longest) => whole <= all && word <= longest;
  return fits(12, 8) ? "xl" : fits(24, 10) ? "l" : fits(44, 12) ? "m" : "s";
}

/** The poster itself. It is decoration beside its title, so its drawing is hidden from screen readers. */
export function Poster({ item, year, children }) {
  const { ground, light, middle, drawing, face, r } = look(item);
  const title = item.title || item.item_id;
  return html`<span class=${`poster-art face-${face} size-${size(title, face)}`} style=${{ "--ground": ground, "--light": light }}>
    <svg viewBox="0 0 200 300" preserveAspectRatio="xMidYMin slice" aria-hidden="true" focusable="false">
      ${DRAWINGS[drawing](light, middle, r)}
    </svg>
    <span class="poster-words" translate=${false}>
      <span class="poster-title" dir="auto">${title}</span>
      ${year ? html`<span class="poster-year">${year}</span>` : null}
    </span>
    ${children}
  </span>`;
}
