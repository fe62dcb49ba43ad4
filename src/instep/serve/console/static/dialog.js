// A modal dialog on the browser's own <dialog>: it traps the focus and closes with Escape or a click beside it.

import { html, useEffect, useRef } from "./vendor/htm-preact.js";
import { Icon } from "./icons.js";
import { useWords } from "./words.js";

export function Dialog({ label, onClose, kind = "", children }) {
  const words = useWords();
  const box = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current.showModal();
    box.current.querySelector("[data-first]")?.focus();
    return () => {
      // Preact takes the element away, and the browser does not give the focus back then.
      // The card it was opened from may have left its shelf: then the first card has it.
      const there = before.isConnected ? before : (document.querySelector('.poster[tabindex="0"]') ?? document.getElementById("shelves"));
      there?.focus({ preventScroll: true });
    };
  }, []);
  const beside = (event) => event.target === box.current && box.current.close();
  return html`<dialog ref=${box} class=${`dialog ${kind}`} aria-label=${label} onClose=${onClose} onMouseDown=${beside}>
    <div class="dialog-body">
      <button type="button" class="dialog-close" aria-label=${words.close} title=${words.close} onClick=${() => box.current.close()}>
        <${Icon} name="close" />
      </button>
      ${children}
    </div>
  </dialog>`;
}
