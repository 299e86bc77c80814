// The address of a site, so that the part which tells whose it is stands out, however long the rest is.

import { html } from "./html.js";
import { t } from "./language.js";

/** `site` is the address in parts; without it (no address that browsers write) the text stands as it came. */
export function Origin({ origin, site }) {
  if (!site) return html`<p class="origin">${origin}</p>`;
  return html`
    <p class="origin"><bdi class="rest">${`${site.scheme}://${site.before}`}</bdi><bdi class="whose">${site.registrable}</bdi><bdi class="rest">${site.port}</bdi></p>
    ${site.readable && html`<p class="readable">${t("readable")}<bdi>${site.readable}</bdi></p>`}`;
}
