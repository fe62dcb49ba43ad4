// What every page of the console has: the switch of languages, the question for a key, what went wrong.

import { html } from "./vendor/htm-preact.js";
import { Dialog } from "./dialog.js";
import { LANGUAGES, useWords } from "./words.js";

export function LanguageSwitch({ language, onSwitch }) {
  const words = useWords();
  return html`<div class="languages" role="group" aria-label=${words.switchLanguage}>
    ${Object.entries(LANGUAGES).map(
      ([tag, { languageName, languageShort }]) => html`<button type="button" key=${tag} lang=${tag} aria-pressed=${tag === language}
        aria-label=${languageName} onClick=${() => onSwitch(tag)}>${languageShort}</button>`,
    )}
  </div>`;
}

export function KeyDialog({ onKey, onClose }) {
  const words = useWords();
  const submit = (event) => {
    event.preventDefault();
    onKey(new FormData(event.target).get("key").trim());
  };
  return html`<${Dialog} label=${words.keyTitle} kind="key" onClose=${onClose}>
    <h2>${words.keyTitle}</h2>
    <form onSubmit=${submit}>
      <label for="key">${words.keyLabel}</label>
      <input id="key" class="field" name="key" type="password" autocomplete="off" required data-first />
      <p class="muted">${words.keyNote}</p>
      <button class="button primary">${words.keyUse}</button>
    </form>
  <//>`;
}

/** Problems with what can be done about each: once more, where that may help, or nothing. */
export function Problems({ problems, onRetry, onDismiss }) {
  const words = useWords();
  return html`<div class="problems" role="alert">
    ${problems.map((problem) => {
      const own = problem.kind !== "service";
      return html`<div class="problem" key=${problem.title + problem.detail}>
        <p><strong>${own ? words[problem.kind] : problem.title}</strong></p>
        <p>${own ? words[`${problem.kind}Detail`] : problem.detail}</p>
        <p class="row">
          ${problem.passing ? html`<button type="button" class="button" onClick=${() => onRetry(problem)}>${words.retry}</button>` : null}
          <button type="button" class="button quiet" onClick=${() => onDismiss(problem)}>${words.dismiss}</button>
        </p>
      </div>`;
    })}
  </div>`;
}
