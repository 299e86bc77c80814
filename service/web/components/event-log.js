// The events as they came, newest first.

import { html } from "../lib/html.js";
import { formatTime, t } from "../lib/language.js";

export function EventLog({ events, clear }) {
  return html`
    <div class="actions"><button type="button" onclick=${clear}>${t("clear")}</button><p class="hint">${t("eventCount", { n: events.length })}</p></div>
    ${events.length === 0 && html`<p class="none">${t("noEvents")}</p>`}
    <ol class="events">
      ${events.map((event) => html`
        <li key="${event.id} ${event.type}">
          <details>
            <summary><time>${formatTime(event.heard, true).slice(11)}</time> <strong>${event.type.replace("cardio.", "")}</strong> <span>${event.subject ?? ""}</span> <small>${event.id}</small></summary>
            <pre tabindex="0">${JSON.stringify(event.data, null, 2)}</pre>
          </details>
        </li>`)}
    </ol>`;
}
