// One page that asks to be let in: its origin, the code to compare, and what it would be allowed.

import { html, useEffect, useState } from "../lib/html.js";
import { Icon } from "./icons.js";
import { localized, t } from "../lib/language.js";
import { Origin } from "../lib/origin.js";
import { SCOPES } from "../lib/scopes.js";

/** What is said of an address that need not be a forgery. */
const MILD = new Set(["same-site", "plain-http"]);

function Scope({ id, scope, risky, ticked, beyond, onTick }) {
  return html`
    <div class=${risky ? "scope risky" : "scope"}>
      <input type="checkbox" id=${id} checked=${ticked} disabled=${beyond} onchange=${(event) => onTick(event.target.checked)} aria-describedby="${id}-what" />
      <label for=${id}>${t(`scope_${scope}`)}</label>
      <p id="${id}-what">${risky && html`<${Icon} name="warning" />`}${beyond ? t("scopeBeyond") : t(`scope_${scope}_what`)}</p>
    </div>`;
}

const Remarks = ({ remarks }) => remarks.length > 0 && html`
  <ul class="remarks">
    ${remarks.map((one) => html`<li key=${one.remark} class=${MILD.has(one.code) ? "remark mild" : "remark"} data-code=${one.code}><${Icon} name="warning" /><span>${localized(one, "remark")}</span></li>`)}
  </ul>`;

/** `grantable` are the scopes that the bridge was started with: no grant exceeds them. `moving` says that the list has just changed. */
export function PairingCard({ request, grantable, moving, attempt }) {
  const asked = SCOPES.filter((scope) => request.scopes.includes(scope));
  const harmless = new Set(request.harmless);
  const [ticked, setTicked] = useState(() => new Set(asked.filter((scope) => harmless.has(scope) && grantable.includes(scope))));
  const [ends] = useState(() => Date.now() + request.seconds_left * 1000);
  const [, tick] = useState(0);
  useEffect(() => {
    const every = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(every);
  }, []);
  const set = (scope, on) => setTicked((before) => { const after = new Set(before); if (on) after.add(scope); else after.delete(scope); return after; });
  const path = `/v1/pairing/${encodeURIComponent(request.request)}`;
  // A pointer meant what stood there a moment ago; the keyboard's focus moves along with its button.
  const meant = (event) => !moving || event.detail === 0;
  const approve = (event) => meant(event) && attempt((bridge) => bridge.request(`${path}/approve`, { method: "POST", body: { scopes: asked.filter((scope) => ticked.has(scope)) } }), "waiting");
  const deny = (event) => meant(event) && attempt((bridge) => bridge.request(`${path}/deny`, { method: "POST" }), "waiting");
  const byDialect = request.source === "dialect";
  return html`
    <article class="pairing" data-request=${request.request}>
      <p class="asks">${byDialect ? t("asksDialect", { name: request.name }) : t("asks")}</p>
      <div class="address"><${Origin} origin=${request.origin} site=${request.site} /></div>
      <${Remarks} remarks=${request.remarks} />
      ${!byDialect && request.name && html`<p class="own-name">${t("ownName")}<bdi>${request.name}</bdi><span class="hint">${t("ownNameWhat")}</span></p>`}
      <div class="code-line"><p class="code-what">${t(byDialect ? "codeDialect" : "codeWhat")}</p><p class="pairing-code">${request.code}</p></div>
      <fieldset>
        <legend>${t("allowWhat")}</legend>
        ${asked.map((scope) => html`<${Scope} key=${scope} id="${request.request}-${scope}" scope=${scope} risky=${!harmless.has(scope)} ticked=${ticked.has(scope)} beyond=${!grantable.includes(scope)} onTick=${(on) => set(scope, on)} />`)}
      </fieldset>
      <div class="actions">
        <button type="button" class="main" disabled=${ticked.size === 0} aria-disabled=${moving || undefined} onclick=${approve}>${t("approve")}</button>
        <button type="button" class="danger" aria-disabled=${moving || undefined} onclick=${deny}>${t("deny")}</button>
        <span class="left">${t("secondsLeft", { n: Math.max(0, Math.ceil((ends - Date.now()) / 1000)) })}</span>
      </div>
    </article>`;
}

/** Where very many ask at once: finds the one whose page shows this code. */
export function FindByCode({ more, onCode }) {
  const submit = (event) => {
    event.preventDefault();
    onCode(event.target.elements.code.value.replaceAll(" ", ""));
  };
  return html`
    <form class="find" onsubmit=${submit}>
      <p>${t("manyAsk", { n: more })}</p>
      <label for="find-code">${t("findCode")}</label>
      <input id="find-code" name="code" inputmode="numeric" autocomplete="off" maxlength="7" size="8" />
      <button type="submit">${t("find")}</button>
    </form>`;
}
