// Who has been let in, and the way out.

import { html, useLayoutEffect, useRef, useState } from "../lib/html.js";
import { moment, say } from "../lib/language.js";
import { Origin } from "../lib/origin.js";

const when = (text) => (text ? moment(new Date(text)) : "—");

function Grant({ grant, attempt }) {
  const [sure, setSure] = useState(null);
  const next = useRef(null);
  // The way back has the focus, so that pressing twice by mistake revokes nothing.
  useLayoutEffect(() => { if (sure !== null) next.current?.focus(); }, [sure]);
  const revoke = () => attempt((bridge) => bridge.request(`/v1/grants/${encodeURIComponent(grant.grant)}`, { method: "DELETE" }), "granted");
  const who = grant.origin ?? grant.name ?? grant.grant;
  return html`
    <li class="grant" data-grant=${grant.grant}>
      <div class="who">${grant.site ? html`<${Origin} origin=${grant.origin} site=${grant.site} />` : html`<strong>${who}</strong>`}<span>${[say(`kind_${grant.kind}`), grant.kind === "page" && grant.name ? `${say("ownName")}${grant.name}` : grant.origin ? grant.name : null].filter(Boolean).join(" · ")}</span></div>
      <p class="scopes">${grant.scopes.map((scope) => say(`scope_${scope}`)).join(say("comma"))}</p>
      <dl>
        <div><dt>${say("created")}</dt><dd>${when(grant.created)}</dd></div>
        <div><dt>${say("lastUsed")}</dt><dd>${when(grant.last_used)}</dd></div>
        <div><dt>${say("liveNow")}</dt><dd>${say("liveCount", { n: grant.live })}</dd></div>
      </dl>
      <div class="actions">
        ${sure
          ? html`
            <button type="button" class="danger main" onclick=${revoke}>${say("revokeSure")}</button>
            <button type="button" ref=${next} onclick=${() => setSure(false)}>${say("cancel")}</button>`
          : html`<button type="button" class="danger" ref=${next} aria-label=${say("revokeWho", { who })} onclick=${() => setSure(true)}>${say("revoke")}</button>`}
      </div>
    </li>`;
}

export function GrantList({ grants, attempt }) {
  // This computer's own pages are no strangers that somebody let in.
  const others = grants.filter((grant) => grant.kind !== "local" && grant.kind !== "session");
  if (others.length === 0) return html`<p class="none">${say("noGrants")}</p>`;
  return html`<ul class="grants">${others.map((grant) => html`<${Grant} key=${grant.grant} grant=${grant} attempt=${attempt} />`)}</ul>`;
}
