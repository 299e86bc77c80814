// Tabs as the ARIA practices have them: one stop for the Tab key, arrows between them.

import { html, useRef } from "../lib/html.js";
import { t } from "../lib/language.js";

export function Tabs({ tabs, active, choose }) {
  const list = useRef(null);
  const names = tabs.map(([name]) => name);
  const move = (event) => {
    const now = names.indexOf(active);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: names.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const name = names[(next + names.length) % names.length];
    choose(name);
    list.current.querySelector(`#tab-${name}`).focus();
  };
  return html`
    <div class="tabs" role="tablist" aria-label=${t("tools")} ref=${list} onkeydown=${move}>
      ${names.map((name) => html`
        <button type="button" role="tab" id="tab-${name}" aria-selected=${name === active} aria-controls="panel"
          tabindex=${name === active ? 0 : -1} onclick=${() => choose(name)}>${t(`tab_${name}`)}</button>`)}
    </div>
    <div class="panel" role="tabpanel" id="panel" aria-labelledby="tab-${active}" tabindex="0">
      ${tabs.find(([name]) => name === active)[1]}
    </div>`;
}
