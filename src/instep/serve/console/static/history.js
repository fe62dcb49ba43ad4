// What the viewer did lately, and the reward that each act gave.

import { html } from "./vendor/htm-preact.js";
import { Icon } from "./icons.js";
import { nameOf } from "./people.js";
import { useWords } from "./words.js";

function Act({ entry, store }) {
  const words = useWords();
  const reward = entry.reward;
  const sign = reward > 0 ? "plus" : reward < 0 ? "minus" : "zero";
  const amount = words.amount(entry.type, entry.value);
  return html`<li>
    <span class="act-icon"><${Icon} name=${entry.type} /></span>
    <span class="act-words">
      <button type="button" class="link act-title" translate=${false} dir="auto" onClick=${() => store.open(entry.item_id)}>${store.title(entry.item_id)}</button>
      <span class="muted">${[words.acted(entry.type), amount, words.ago(entry.timestamp)].filter(Boolean).join(" · ")}</span>
    </span>
    <span class=${`reward ${sign}`} title=${words.reward}>
      <span class="sr">${words.reward}${words.colon}</span>${reward == null ? words.noReward : words.signed(reward)}
    </span>
  </li>`;
}

/** The list, newest first. */
export function History({ store, who, history }) {
  const words = useWords();
  return html`<section class="history" aria-labelledby="history-title">
    <h2 id="history-title">${who.user ? words.historyOf(nameOf(words, who)) : words.history}</h2>
    ${history === null
      ? html`<p class="muted">${words.loading}</p>`
      : history.length === 0
        ? html`<p class="muted">${words.noHistory}</p>`
        : html`<ol role="list" tabindex="0" aria-labelledby="history-title">
            ${history.slice(0, 40).map((entry, i) => html`<${Act} key=${`${entry.timestamp}-${entry.item_id}-${entry.type}-${i}`} entry=${entry} store=${store} />`)}
          </ol>`}
  </section>`;
}
