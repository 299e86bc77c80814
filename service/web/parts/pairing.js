// One page that asks to be let in: its origin, the code to compare, and what it would be allowed.

import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { say } from "./language.js";
import { RISKY, SCOPES } from "./scopes.js";

function Scope({ id, scope, ticked, beyond, onTick }) {
  const risky = RISKY.has(scope);
  return html`
    <div class=${risky ? "scope risky" : "scope"}>
      <input type="checkbox" id=${id} checked=${ticked} disabled=${beyond} onchange=${(event) => onTick(event.target.checked)} aria-describedby="${id}-what" />
      <label for=${id}>${say(`scope_${scope}`)}</label>
      <p id="${id}-what">${risky && html`<${Icon} name="warning" />`}${beyond ? say("scopeBeyond") : say(`scope_${scope}_what`)}</p>
    </div>`;
}

/** `grantable` are the scopes that the bridge was started with: nobody grants more. */
export function PairingCard({ request, grantable, attempt }) {
  const asked = SCOPES.filter((scope) => request.scopes.includes(scope));
  const [ticked, setTicked] = useState(() => new Set(asked.filter((scope) => !RISKY.has(scope) && grantable.includes(scope))));
  const [ends] = useState(() => Date.now() + request.seconds_left * 1000);
  const [, tick] = useState(0);
  useEffect(() => {
    const every = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(every);
  }, []);
  const set = (scope, on) => setTicked((before) => { const after = new Set(before); if (on) after.add(scope); else after.delete(scope); return after; });
  const path = `/v1/pairing/${encodeURIComponent(request.request)}`;
  const approve = () => attempt((bridge) => bridge.request(`${path}/approve`, { method: "POST", body: { scopes: asked.filter((scope) => ticked.has(scope)) } }), "waiting");
  const deny = () => attempt((bridge) => bridge.request(`${path}/deny`, { method: "POST" }), "waiting");
  return html`
    <article class="pairing" data-request=${request.request}>
      <p class="asks">${say((request.source ?? request.from) === "dialect" ? "asksDialect" : "asks", { name: request.name })}</p>
      <p class="origin">${request.origin}</p>
      <div class="code-line"><p class="code-what">${say((request.source ?? request.from) === "dialect" ? "codeDialect" : "codeWhat")}</p><p class="pairing-code">${request.code}</p></div>
      <fieldset>
        <legend>${say("allowWhat")}</legend>
        ${asked.map((scope) => html`<${Scope} key=${scope} id="${request.request}-${scope}" scope=${scope} ticked=${ticked.has(scope)} beyond=${!grantable.includes(scope)} onTick=${(on) => set(scope, on)} />`)}
      </fieldset>
      <div class="actions">
        <button type="button" class="main" disabled=${ticked.size === 0} onclick=${approve}>${say("approve")}</button>
        <button type="button" class="danger" onclick=${deny}>${say("deny")}</button>
        <span class="left">${say("secondsLeft", { n: Math.max(0, Math.ceil((ends - Date.now()) / 1000)) })}</span>
      </div>
    </article>`;
}
