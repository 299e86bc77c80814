// The readers of the developer's page; the tools work with the selected one.

import { html } from "../lib/html.js";
import { t } from "../lib/language.js";

/** Without a connection the readers are unknown: then `live` is false, and none is listed. */
export function ReaderList({ listing, live, selected, choose }) {
  return html`
    <fieldset class="reader-list">
      <legend>${t("readers")}</legend>
      ${live && listing.readers.length === 0 && html`<p class="none">${t("noReaders")}</p>`}
      ${listing.readers.map((info) => html`
        <label key=${info.name} class=${info.name === selected ? "chosen" : ""}>
          <input type="radio" name="reader" value=${info.name} checked=${info.name === selected} onchange=${() => choose(info.name)} />
          <span class="reader-name">${info.name}</span>
          <span class="status" data-status=${info.status}><span class="dot" aria-hidden="true"></span>${t(info.status)}</span>
          ${info.atr && html`<span class="hex">${info.atr}</span>`}
        </label>`)}
    </fieldset>`;
}
