// An experiment's results: a table of arms, and for each metric the difference from the control with its bounds.

import { html } from "./vendor/htm-preact.js";
import { useWords } from "./words.js";

const WIDTH = 200;
const HEIGHT = 22;

/** The widest bound of a metric over all arms, so that its bars share one scale. */
function scaleOf(arms, place) {
  const bounds = arms.flatMap(({ metrics }) => [metrics[place].low, metrics[place].high, metrics[place].difference]);
  return Math.max(1e-9, ...bounds.filter((bound) => bound != null).map(Math.abs));
}

/** The difference as a dot, its bounds as a line, and where nothing is different as a mark in the middle. */
function Bar({ metric, scale }) {
  const at = (value) => WIDTH / 2 + (value / scale) * (WIDTH / 2 - 6);
  const { low, high, difference, verdict } = metric;
  const known = low !== null && high !== null;
  return html`<svg class=${`bar ${verdict.replace(" ", "-")}`} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} width=${WIDTH} height=${HEIGHT} aria-hidden="true">
    <path class="bar-middle" d=${`M${WIDTH / 2} 2V${HEIGHT - 2}`} />
    ${known ? html`<path class="bar-line" d=${`M${at(low)} ${HEIGHT / 2}H${at(high)}`} />` : null}
    <circle class="bar-dot" cx=${at(difference)} cy=${HEIGHT / 2} r="4" />
  </svg>`;
}

function Difference({ metric, scale }) {
  const words = useWords();
  if (metric.difference === null) return html`<span class="muted">${words.lab.control}</span>`;
  const bounds = metric.low === null || metric.high === null ? words.lab.noBounds : words.lab.between(words.points(metric.low), words.points(metric.high));
  return html`<div class="difference">
    <span class="number">${words.points(metric.difference)} <span class="muted">${bounds}</span></span>
    <${Bar} metric=${metric} scale=${scale} />
    <span class=${`verdict ${metric.verdict.replace(" ", "-")}`}>${words.lab.verdicts[metric.verdict]}</span>
  </div>`;
}

function Arm({ arm, found }) {
  const words = useWords();
  const lab = words.lab;
  const settings = Object.entries(arm.settings).map(([name, value]) => `${name} = ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const mixed = found.kind === "interleave";
  const share = mixed ? found.arms.reduce((sum, each) => sum + each.share, 0) : arm.share; // a mixed slate has both arms
  return html`<tbody class="arm">
    <tr>
      <th scope="row" rowspan=${arm.metrics.length}>
        <span class="arm-name" translate=${false} dir="auto">${arm.name}</span>
        <span class="muted settings" translate=${false}>${settings.join(" · ")}</span>
        <span class="muted">${lab.counted(words.percent(share), words.whole(arm.users), words.whole(arm.slates))}</span>
        ${mixed ? html`<span class="muted">${lab.won(words.whole(arm.wins))}</span>` : null}
      </th>
      ${arm.metrics.map((metric, place) => {
        const cells = html`<td>${words.acted(metric.type)}<span class="goal muted">${lab.goals[metric.goal]}</span></td>
          <td class="number">${mixed ? "" : words.percent(metric.rate)}</td>
          <td><${Difference} metric=${metric} scale=${scaleOf(found.arms, place)} /></td>`;
        return place === 0 ? cells : null;
      })}
    </tr>
    ${arm.metrics.slice(1).map(
      (metric, i) => html`<tr key=${metric.type}>
        <td>${words.acted(metric.type)}<span class="goal muted">${lab.goals[metric.goal]}</span></td>
        <td class="number">${mixed ? "" : words.percent(metric.rate)}</td>
        <td><${Difference} metric=${metric} scale=${scaleOf(found.arms, i + 1)} /></td>
      </tr>`,
    )}
  </tbody>`;
}

export function Results({ found }) {
  const lab = useWords().lab;
  return html`<div class="results" tabindex="0" role="region" aria-label=${lab.results}>
    <table>
      <thead>
        <tr>
          <th scope="col">${lab.arm}</th>
          <th scope="col">${lab.metric}</th>
          <th scope="col" class="number">${found.kind === "interleave" ? "" : lab.rate}</th>
          <th scope="col">${found.kind === "interleave" ? lab.preference : lab.difference}</th>
        </tr>
      </thead>
      ${found.arms.map((arm) => html`<${Arm} key=${arm.name} arm=${arm} found=${found} />`)}
    </table>
  </div>`;
}
