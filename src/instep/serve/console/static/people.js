// Who is looking: pick a user, be a visitor, log in, be erased.

import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { newId } from "./api.js";
import { Dialog } from "./dialog.js";
import { useWords } from "./words.js";

const LIMIT = 60;

/** How the page calls a viewer. */
export function nameOf(words, who) {
  return who.user ? words.user(who.user) : words.visitorShort(who.session);
}

/** A list of users that narrows down as one types; arrow keys move in it, Enter picks. */
function UserList({ store, onPick, label }) {
  const words = useWords();
  const [prefix, setPrefix] = useState("");
  const [found, setFound] = useState(null);
  const [at, setAt] = useState(-1);
  const list = useRef(null);
  useEffect(() => {
    let current = true;
    const wait = setTimeout(async () => {
      const users = await store.findUsers(prefix.trim(), LIMIT);
      if (current && users) {
        setFound(users.filter((id) => !id.startsWith("session:")));
        setAt(-1);
      }
    }, prefix ? 150 : 0);
    return () => {
      current = false;
      clearTimeout(wait);
    };
  }, [prefix]);
  const move = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && found?.length) {
      event.preventDefault();
      const next = Math.max(0, Math.min(found.length - 1, at + step));
      setAt(next);
      list.current.children[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && found?.length) {
      event.preventDefault();
      onPick(found[Math.max(at, 0)]);
    }
  };
  return html`<div class="users">
    <label for="find-user">${label}</label>
    <input id="find-user" class="field" type="search" autocomplete="off" data-first spellcheck=${false} placeholder=${words.findUser}
      role="combobox" aria-expanded="true" aria-controls="users-found" aria-autocomplete="list"
      aria-activedescendant=${at >= 0 ? `found-${at}` : null} value=${prefix} onInput=${(e) => setPrefix(e.target.value)} onKeyDown=${move} />
    <ul class="users-found" id="users-found" role="listbox" aria-label=${label} ref=${list}>
      ${(found ?? []).map(
        (id, i) => html`<li key=${id} id=${`found-${i}`} role="option" aria-selected=${i === at} onClick=${() => onPick(id)} translate=${false}>${id}</li>`,
      )}
    </ul>
    <p class="muted" role="status">
      ${found === null ? words.loading : found.length === 0 ? words.noUsers : found.length === LIMIT ? words.manyUsers(LIMIT) : ""}
    </p>
  </div>`;
}

function Certificate({ certificate }) {
  const words = useWords();
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard?.writeText(JSON.stringify(certificate, null, 2));
    setCopied(true);
  };
  return html`<section class="certificate">
    <h3>${words.certificate}</h3>
    <dl class="facts">
      ${Object.entries(certificate)
        .filter(([, value]) => value != null && typeof value !== "object")
        .map(([name, value]) => [html`<dt key=${name}>${words.certificateFields[name] ?? words.field(name)}</dt>`, html`<dd><code translate=${false}>${String(value)}</code></dd>`])}
    </dl>
    <p class="muted">${words.certificateNote}</p>
    ${navigator.clipboard ? html`<button type="button" class="button" onClick=${copy}>${copied ? words.copied : words.copy}</button>` : null}
  </section>`;
}

function Erasure({ store, who, onDone, onCancel }) {
  const words = useWords();
  const [waiting, setWaiting] = useState(false);
  const erase = async () => {
    setWaiting(true);
    const certificate = await store.eraseMe();
    setWaiting(false);
    if (certificate) onDone(certificate);
  };
  return html`<section class="erasure">
    <p>${words.eraseAsk(nameOf(words, who))}</p>
    <p class="row">
      <button type="button" class="button danger" disabled=${waiting} onClick=${erase}>${waiting ? words.eraseWait : words.eraseYes}</button>
      <button type="button" class="button" disabled=${waiting} onClick=${onCancel}>${words.cancel}</button>
    </p>
  </section>`;
}

/** The dialog in which the viewer is chosen. */
export function People({ store, who, onClose }) {
  const words = useWords();
  const [step, setStep] = useState("pick"); // "pick" | "login" | "erase" | a certificate
  const close = () => onClose();
  const pick = async (id) => {
    if (step === "login") {
      if (await store.logIn(id)) close();
    } else {
      close();
      await store.become({ user: id });
    }
  };
  const visit = () => {
    close();
    void store.become({ session: newId() });
  };
  return html`<${Dialog} label=${words.who} kind="people" onClose=${close}>
    <h2>${words.who}</h2>
    <p class="who-now" translate=${false}>${nameOf(words, who)}</p>
    ${typeof step === "object"
      ? html`<${Certificate} certificate=${step} />`
      : step === "erase"
        ? html`<${Erasure} store=${store} who=${who} onDone=${setStep} onCancel=${() => setStep("pick")} />`
        : html`
            <p class="row">
              <button type="button" class="button" onClick=${visit}>${words.beVisitor}</button>
              ${who.session && store.known
                ? html`<button type="button" class="button" aria-pressed=${step === "login"} onClick=${() => setStep(step === "login" ? "pick" : "login")}>${words.logIn}</button>`
                : null}
              ${store.known ? html`<button type="button" class="button danger-quiet" onClick=${() => setStep("erase")}>${words.eraseMe}</button>` : null}
            </p>
            ${step === "login" ? html`<p class="note">${words.logInNote}</p>` : null}
            <${UserList} store=${store} onPick=${pick} label=${step === "login" ? words.logIn : words.pickUser} />
          `}
  <//>`;
}
