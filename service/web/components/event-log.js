// The events as they came, newest first.

import { html } from "../lib/html.js";
import { moment, say } from "../lib/language.js";

export function EventLog({ events, clear }) {
  return html`
    <div class="actions"><button type="button" onclick=${clear}>${say("clear")}</button><p class="hint">${say("eventCount", { n: events.length })}</p></div>
    ${events.length === 0 && html`<p class="none">${say("noEvents")}</p>`}
    <ol class="events">
      ${events.map((event) => html`
        <li key="${event.id} ${event.type}">
          <details>
            <summary><time>${moment(event.heard, true).slice(11)}</time> <strong>${event.type.replace("cardio.", "")}</strong> <span>${event.subject ?? ""}</span> <small>${event.id}</small></summary>
            <pre tabindex="0">${JSON.stringify(event.data, null, 2)}</pre>
          </details>
        </li>`)}
    </ol>`;
}
