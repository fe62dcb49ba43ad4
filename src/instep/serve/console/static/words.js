// The page's language: chosen once from the browser, changed by the switch, remembered.

import { createContext, useContext } from "./vendor/htm-preact.js";
import { en } from "./words.en.js";
import { zh } from "./words.zh.js";

export const LANGUAGES = { en, "zh-CN": zh };
const STORED = "instep.language";

/** The language to start with: the remembered one, else the browser's first that we speak, else English. */
export function firstLanguage() {
  const stored = localStorage.getItem(STORED);
  if (stored in LANGUAGES) return stored;
  for (const tag of navigator.languages ?? [navigator.language]) {
    if (/^zh\b/i.test(tag)) return "zh-CN";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

export function rememberLanguage(tag) {
  localStorage.setItem(STORED, tag);
}

/** A language's words together with its way of writing numbers and times. */
export function wordsOf(tag) {
  const whole = new Intl.NumberFormat(tag, { maximumFractionDigits: 0 });
  const plain = new Intl.NumberFormat(tag, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
  const signed = new Intl.NumberFormat(tag, { signDisplay: "exceptZero", minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const exact = new Intl.NumberFormat(tag, { signDisplay: "exceptZero", minimumFractionDigits: 4, maximumFractionDigits: 4 });
  const percent = new Intl.NumberFormat(tag, { style: "percent", maximumFractionDigits: 2 });
  const points = new Intl.NumberFormat(tag, { style: "percent", signDisplay: "exceptZero", minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const relative = new Intl.RelativeTimeFormat(tag, { numeric: "auto", style: "short" });
  const day = new Intl.DateTimeFormat(tag, { dateStyle: "medium" });
  const words = LANGUAGES[tag];
  return {
    ...words,
    tag,
    whole: (n) => whole.format(n),
    plain: (n) => minus(plain.format(n)),
    signed: (n) => minus(signed.format(n)),
    exact: (n) => minus(exact.format(n)),
    percent: (n) => percent.format(n),
    points: (n) => minus(points.format(n)),
    ago: (timestamp) => ago(timestamp, words.justNow, relative, day),
  };
}

/** A true minus sign instead of a hyphen. */
const minus = (text) => text.replace("-", "−");

function ago(timestamp, justNow, relative, day) {
  const seconds = timestamp - Date.now() / 1000;
  if (seconds > -60) return justNow;
  if (seconds > -3600) return relative.format(Math.round(seconds / 60), "minute");
  if (seconds > -86400) return relative.format(Math.round(seconds / 3600), "hour");
  if (seconds > -86400 * 30) return relative.format(Math.round(seconds / 86400), "day");
  return day.format(timestamp * 1000);
}

export const Words = createContext(null);
export const useWords = () => useContext(Words);
