// Why an item is there: in words, and in exact numbers.

import { html } from "./vendor/htm-preact.js";
import { useWords } from "./words.js";

/** A reason in the page's language; `store` knows the title of the item it rests on. */
export function inWords(words, store, { signal, because }) {
  return words.reason(signal, because ? store.title(because) : null);
}

/** The strongest reasons for (not against) an item, strongest first. */
export const strongest = (entry, n) =>
  entry.reasons
    .filter((reason) => reason.contribution > 0)
    .sort((a, b) => b.contribution - a.contribution)
    .slice(0, n);

// Signals that say little in one line: a card names them only when nothing else speaks for the item.
const QUIET = new Set(["constant", "disliked", "idle", "new"]);

/**
 * A line or two for a card: the strongest reason and the next one that rests on something else; or who found the item
 * when no reason stands out.
 */
export function headline(words, store, entry) {
  const all = strongest(entry, Infinity);
  const telling = all.filter(({ signal }) => !QUIET.has(signal));
  const [first, ...others] = telling.length ? telling : all;
  if (first) {
    const second = others.find((reason) => reason.because !== first.because);
    return [first, second].filter(Boolean).map((reason) => inWords(words, store, reason)).join("\u00a0· ");
  }
  if (entry.sources.length) return words.source(entry.sources[0]);
  return words.noReasons;
}

const bySize = (reasons) => [...reasons].sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));

/** All addends with bars, the largest first; negative ones point the other way. */
export function Reasons({ entry, store, limit = Infinity, exact = false }) {
  const words = useWords();
  const reasons = bySize(entry.reasons).slice(0, limit);
  if (!reasons.length) return html`<p class="muted">${words.noReasons}</p>`;
  const most = Math.max(...reasons.map((reason) => Math.abs(reason.contribution)), 1e-9);
  return html`<ul class="reasons">
    ${reasons.map((reason) => {
      const share = Math.abs(reason.contribution) / most;
      const sign = reason.contribution < 0 ? "minus" : "plus";
      const said = inWords(words, store, reason);
      return html`<li class=${sign} key=${reason.signal + (reason.because ?? "")}>
        <span class="reason-words">${sign === "minus" ? words.against(said) : said}${exact ? html` <code translate=${false}>${reason.signal}</code>` : null}</span>
        <span class="reason-number">${exact ? words.exact(reason.contribution) : words.signed(reason.contribution)}</span>
        <span class="reason-bar" style=${{ "--share": share.toFixed(3) }} aria-hidden="true"></span>
      </li>`;
    })}
  </ul>`;
}

/** Who found the item. */
export function FoundBy({ entry }) {
  const words = useWords();
  if (!entry.sources.length) return null;
  return html`<p class="muted found-by">${words.foundBy}${words.colon}${entry.sources.map(words.source).join(words.comma)}</p>`;
}

/** The score, the propensity, who found the item. */
export function Totals({ entry }) {
  const words = useWords();
  return html`<dl class="facts">
    <dt>${words.score}</dt><dd class="number">${words.plain(entry.score)}</dd>
    <dt>${words.propensity}</dt><dd class="number">${entry.propensity.toPrecision(3)}</dd>
    ${entry.sources.length ? html`<dt>${words.foundBy}</dt><dd>${entry.sources.map(words.source).join(words.comma)}</dd>` : null}
  </dl>`;
}

/** The numbers themselves: each addend as the service gave it, the score, the propensity, who found the item. */
export function Numbers({ entry, store }) {
  const words = useWords();
  return html`<div class="numbers">
    <p class="muted">${words.exactNote}</p>
    <table>
      <thead>
        <tr><th scope="col">${words.signal}</th><th scope="col">${words.restsOn}</th><th scope="col">${words.contribution}</th></tr>
      </thead>
      <tbody>
        ${bySize(entry.reasons).map(
          (reason) => html`<tr key=${reason.signal + (reason.because ?? "")}>
            <td><code translate=${false}>${reason.signal}</code></td>
            <td translate=${false}>${reason.because ? store.title(reason.because) : ""}</td>
            <td class="number">${words.exact(reason.contribution)}</td>
          </tr>`,
        )}
      </tbody>
    </table>
    <${Totals} entry=${entry} />
  </div>`;
}
