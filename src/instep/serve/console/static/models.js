// The page of the language model's versions: what each was trained on, what the gate found, which one serves.

import { html, render, useEffect, useState } from "./vendor/htm-preact.js";
import { AdminPage, Sure } from "./admin.js";
import * as api from "./api.js";
import { useWords } from "./words.js";

const WIDTH = 560;
const HEIGHT = 120;
const VALIDATION = ["validation_loss", "validation", "valid_loss"];

/** Points of a loss curve, [step, value], by the first of these names that a line has. */
const points = (losses, names) =>
  losses.flatMap((line) => {
    const value = names.map((name) => line[name]).find((each) => typeof each === "number" && Number.isFinite(each));
    return typeof line.step === "number" && value !== undefined ? [[line.step, value]] : [];
  });

/** The loss by step as lines, with the same in words. */
function Curve({ losses }) {
  const words = useWords();
  const lines = [
    ["loss", points(losses, ["loss"])],
    ["validation", points(losses, VALIDATION)],
  ].filter(([, line]) => line.length > 1);
  if (lines.length === 0) return null;
  const all = lines.flatMap(([, line]) => line);
  const span = (place) => [Math.min(...all.map((p) => p[place])), Math.max(...all.map((p) => p[place]))];
  const [[left, right], [low, high]] = [span(0), span(1)];
  const x = (step) => ((step - left) / Math.max(1e-9, right - left)) * WIDTH;
  const y = (loss) => HEIGHT - 4 - ((loss - low) / Math.max(1e-9, high - low)) * (HEIGHT - 8);
  const told = lines.map(([name, line]) => `${words.models[name]} ${words.models.lossSummary(words.plain(line[0][1]), words.plain(line.at(-1)[1]), words.whole(line.at(-1)[0]))}`);
  return html`<figure class="curve">
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${`${words.models.losses}${words.colon}${told.join(words.comma)}`}>
      <path class="floor" d=${`M0 ${HEIGHT}H${WIDTH}`} />
      ${lines.map(([name, line]) => html`<path key=${name} class=${name} d=${`M${line.map(([step, loss]) => `${x(step).toFixed(1)} ${y(loss).toFixed(1)}`).join("L")}`} />`)}
    </svg>
    <figcaption>${words.models.losses}${words.colon}${told.join(" · ")}</figcaption>
  </figure>`;
}

function Part({ part }) {
  const words = useWords();
  const own = words.models;
  const known = typeof part.change === "number";
  return html`<tr>
    <th scope="row">${own.parts[part.name] ?? html`<span translate=${false}>${part.name}</span>`}</th>
    <td class="number">${words.whole(part.events)}</td>
    <td class="number">${known ? words.plain(part.live) : ""}</td>
    <td class="number">${known ? words.plain(part.candidate) : ""}</td>
    <td class="number">${known ? html`${words.points(part.change)} <span class="muted">${own.between(words.points(part.low), words.points(part.high))}</span>` : ""}</td>
    <td><span class=${`verdict ${part.says === "worse" ? "worse" : ""}`}>${own.says[part.says] ?? part.says}</span></td>
  </tr>`;
}

/** Both encoders' numbers, slice by slice. */
function Parts({ parts, label }) {
  const own = useWords().models;
  return html`<div class="results" tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr>${[own.part, own.count, own.ndcgLive, own.ndcg, own.change, own.verdict].map((head) => html`<th key=${head} scope="col">${head}</th>`)}</tr></thead>
      <tbody>${parts.map((part) => html`<${Part} key=${part.name} part=${part} />`)}</tbody>
    </table>
  </div>`;
}

/** How it does on live traffic that it is not shown to, as a table that opens. */
function Shadow({ shadow }) {
  const words = useWords();
  const own = words.models;
  if (!Array.isArray(shadow.parts)) return null;
  return html`<details class="numbers">
    <summary>${own.shadow(words.whole(shadow.events))}</summary>
    <${Parts} parts=${shadow.parts} label=${own.shadow(words.whole(shadow.events))} />
    <p class="muted">
      ${own.shadowData(words.whole(shadow.start), words.whole(shadow.end))}
      ${typeof shadow.overlap === "number" ? ` · ${own.overlap(words.percent(shadow.overlap))}` : null}
      ${" · "}${shadow.ended ? html`<span lang="en">${shadow.ended}</span>` : own.shadowOpen}
    </p>
  </details>`;
}

/** All that the gate recorded, as a table that opens. */
function Gate({ gate, verdict }) {
  const words = useWords();
  const own = words.models;
  if (!Array.isArray(gate.parts)) return null;
  const slates = gate.slates ?? {};
  return html`<details class="numbers" open=${verdict === "refused"}>
    <summary>${own.gate}</summary>
    <${Parts} parts=${gate.parts} label=${own.gate} />
    <p class="muted">
      ${own.slates}${words.colon}${own.says[slates.says] ?? ""}
      ${typeof slates.change === "number" ? html` · ${own.earned(words.exact(slates.change))} ${own.between(words.exact(slates.low), words.exact(slates.high))}` : null}
      ${slates.why ? html` · <span lang="en">${slates.why}</span>` : null}
    </p>
  </details>`;
}

function Version({ found, act }) {
  const words = useWords();
  const own = words.models;
  const { version, status, verdict } = found;
  const [whole, setWhole] = useState(null);
  useEffect(() => {
    // Weights do not change: the curve and the check of the files are asked for once.
    api.model(version.name).then(({ data }) => setWhole(data), () => {});
  }, [version.name]);
  const id = `version-${version.name}`;
  const fault = whole?.fault || found.fault;
  const passed = verdict === "passed";
  const facts = [own.tasks[version.task] ?? version.task, own.trained(version.method, version.parent || own.base, words.ago(version.created))];
  return html`<article class="experiment" aria-labelledby=${id}>
    <header class="experiment-head">
      <h2 id=${id} translate=${false}>${version.name}</h2>
      <span class=${`status ${status}`}>${own.statuses[status]}</span>
      <span class=${`status ${verdict.replace(" ", "-")}`}>${own.verdicts[verdict]}</span>
      <p class="muted" translate=${false}>${facts.join(" · ")}</p>
      <p class="muted">${own.data(words.whole(version.start), words.whole(version.end), words.whole(version.records))}</p>
    </header>
    ${found.erased ? html`<p class="note harm">${own.erased}</p>` : null}
    ${fault ? html`<p class="note harm">${own.faulty} <span lang="en">${fault}</span></p>` : null}
    ${found.gate?.reasons?.length ? html`<ul class="note harm" lang="en">${found.gate.reasons.map((reason) => html`<li key=${reason}>${reason}</li>`)}</ul>` : null}
    ${Object.keys(version.metrics).length
      ? html`<dl class="metrics" aria-label=${own.metrics}>
          ${Object.entries(version.metrics).map(([name, value]) => html`<div key=${name}><dt translate=${false}>${name}</dt><dd>${words.plain(value)}</dd></div>`)}
        </dl>`
      : null}
    ${whole ? html`<${Curve} losses=${whole.losses} />` : null}
    ${found.gate ? html`<${Gate} gate=${found.gate} verdict=${verdict} />` : null}
    ${found.shadow ? html`<${Shadow} shadow=${found.shadow} />` : null}
    ${status === "live" || found.erased || fault
      ? null
      : html`<div class="row">
          <${Sure} label=${passed ? own.promote(version.name) : own.promoteAnyway(version.name)} danger=${!passed}
            question=${passed ? own.promoteAsk : own.anywayAsk} onSure=${() => act(() => api.promoteModel(version.name, !passed))} />
        </div>`}
  </article>`;
}

function Models({ found, act }) {
  const words = useWords();
  const own = words.models;
  if (found === null) return html`<p class="muted" role="status">${words.loading}</p>`;
  const name = (version) => (version === "base" ? own.base : html`<span translate=${false}>${version}</span>`);
  return html`<div class="standing" role="status">
      <p>${own.live} <strong>${name(found.live)}</strong>${found.previous === found.live ? null : html` · ${own.before} ${name(found.previous)}`}</p>
      ${found.previous === found.live ? null : html`<${Sure} label=${own.rollBack} question=${own.rollBackAsk} danger=${true} onSure=${() => act(api.rollBackModel)} />`}
    </div>
    ${found.versions.length === 0
      ? html`<p class="bare">${own.none}</p>`
      : found.versions.map((one) => html`<${Version} key=${one.version.name} found=${one} act=${act} />`)}`;
}

const read = async () => (await api.models()).data;
const page = html`<${AdminPage} section="models" read=${read}>${(given) => html`<${Models} ...${given} />`}<//>`;
render(page, document.getElementById("app"));
