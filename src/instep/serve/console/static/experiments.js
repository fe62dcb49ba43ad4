// The experiments page: what runs, what it has shown, and what can be done about it.

import { html, render, useState } from "./vendor/htm-preact.js";
import { AdminPage, Sure } from "./admin.js";
import * as api from "./api.js";
import { Results } from "./results.js";
import { useWords } from "./words.js";

const EXAMPLE = {
  name: "greedy-or-not",
  arms: [
    { name: "control", share: 0.5 },
    { name: "greedy", share: 0.5, settings: { policy: "greedy" } },
  ],
  metric: { type: "click" },
  guardrails: [{ type: "dislike", goal: "decrease" }],
};

/** A definition as JSON, launched as it stands; the service says what is wrong with it. */
function Launch({ onLaunch }) {
  const words = useWords().lab;
  const [text, setText] = useState(JSON.stringify(EXAMPLE, null, 2));
  const [wrong, setWrong] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    let definition;
    try {
      definition = JSON.parse(text);
    } catch {
      return setWrong(words.notJson);
    }
    setWrong((await onLaunch(definition)) ?? "");
  };
  return html`<details class="launch">
    <summary>${words.launchTitle}</summary>
    <form onSubmit=${submit}>
      <label for="definition">${words.definition}</label>
      <p class="muted" id="definition-note">${words.definitionNote}</p>
      <textarea id="definition" class="field" rows="16" spellcheck=${false} translate=${false} aria-describedby="definition-note"
        value=${text} onInput=${(e) => setText(e.target.value)}></textarea>
      <p class="warn" role="alert" translate=${false}>${wrong}</p>
      <button class="button primary">${words.launch}</button>
    </form>
  </details>`;
}

function Experiment({ found, onChange }) {
  const words = useWords();
  const lab = words.lab;
  const facts = [
    lab.kinds[found.kind],
    lab.launched(words.ago(found.launched)),
    found.ended === null ? null : lab.ended(words.ago(found.ended)),
  ];
  const id = `experiment-${encodeURIComponent(found.name)}`; // a list of ids is split at spaces
  const act = (verb, body) => onChange(found.name, verb, body);
  return html`<article class="experiment" aria-labelledby=${id}>
    <header class="experiment-head">
      <h2 id=${id} translate=${false}>${found.name}</h2>
      <span class=${`status ${found.status}`}>${lab.statuses[found.status]}</span>
      <p class="muted">
        ${facts.filter(Boolean).join(" · ")} · ${lab.layer} <span translate=${false}>${found.layer}</span>
        ${found.surfaces.length ? html` · ${lab.surfaces} <span translate=${false}>${found.surfaces.join(words.comma)}</span>` : null}
      </p>
    </header>
    ${found.harm ? html`<p class="note harm">${lab.harm(found.harm)}</p>` : found.reason ? html`<p class="note">${lab.reason}${words.colon}<span translate=${false}>${found.reason}</span></p>` : null}
    ${found.shares_doubted ? html`<p class="note harm">${lab.sharesDoubted}</p>` : null}
    <${Results} found=${found} />
    <p class="muted">${lab.bounds(words.percent(found.alpha))}</p>
    <div class="row">
      ${found.status === "running" ? html`<${Sure} key="stop" label=${lab.stop} question=${lab.stopAsk} danger=${true} onSure=${() => act("stop", {})} />` : null}
      ${found.status === "promoted"
        ? html`<span>${lab.promoted} <strong translate=${false}>${found.promoted}</strong></span>
            <${Sure} key="rollback" label=${lab.rollBack} question=${lab.rollBackAsk} danger=${true} onSure=${() => act("rollback", {})} />`
        : found.arms.map(
            (arm) => html`<${Sure} key=${arm.name} label=${lab.promote(arm.name)} question=${lab.promoteAsk} onSure=${() => act("promote", { arm: arm.name })} />`,
          )}
    </div>
  </article>`;
}

function Lab({ found, act }) {
  const words = useWords();
  const change = (name, verb, body) => act(() => api.changeExperiment(name, verb, body));
  /** Launches a definition; resolves to what is wrong with it, in the service's words. */
  const launch = async (definition) => {
    let wrong;
    await act(async () => {
      try {
        await api.launchExperiment(definition);
      } catch (error) {
        if (error.status !== 422) throw error;
        wrong = error.detail;
      }
    });
    return wrong;
  };
  return html`${found === null
      ? html`<p class="muted" role="status">${words.loading}</p>`
      : found.length === 0
        ? html`<p class="bare">${words.lab.none}</p>`
        : found.map((one) => html`<${Experiment} key=${one.name} found=${one} onChange=${change} />`)}
    <${Launch} onLaunch=${launch} />`;
}

const read = async () => (await api.experiments()).data.experiments;
const page = html`<${AdminPage} section="lab" read=${read}>${(given) => html`<${Lab} ...${given} />`}<//>`;
render(page, document.getElementById("app"));
