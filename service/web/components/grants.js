// Who has been let in, and the way out.

import { html, useLayoutEffect, useRef, useState } from "../lib/html.js";
import { formatTime, t } from "../lib/language.js";
import { Origin } from "../lib/origin.js";

const when = (text) => (text ? formatTime(new Date(text)) : "—");

function Grant({ grant, attempt }) {
  const [sure, setSure] = useState(null);
  const next = useRef(null);
  // The way back has the focus, so that pressing twice by mistake revokes nothing.
  useLayoutEffect(() => { if (sure !== null) next.current?.focus(); }, [sure]);
  const revoke = () => attempt((bridge) => bridge.request(`/v1/grants/${encodeURIComponent(grant.grant)}`, { method: "DELETE" }), "granted");
  const who = grant.origin ?? grant.name ?? grant.grant;
  return html`
    <li class="grant" data-grant=${grant.grant}>
      <div class="who">${grant.site ? html`<${Origin} origin=${grant.origin} site=${grant.site} />` : html`<strong>${who}</strong>`}<span>${[t(`kind_${grant.kind}`), grant.kind === "page" && grant.name ? `${t("ownName")}${grant.name}` : grant.origin ? grant.name : null].filter(Boolean).join(" · ")}</span></div>
      <p class="scopes">${grant.scopes.map((scope) => t(`scope_${scope}`)).join(t("comma"))}</p>
      <dl>
        <div><dt>${t("created")}</dt><dd>${when(grant.created)}</dd></div>
        <div><dt>${t("lastUsed")}</dt><dd>${when(grant.last_used)}</dd></div>
        <div><dt>${t("liveNow")}</dt><dd>${t("liveCount", { n: grant.live })}</dd></div>
      </dl>
      <div class="actions">
        ${sure
          ? html`
            <button type="button" class="danger main" onclick=${revoke}>${t("revokeSure")}</button>
            <button type="button" ref=${next} onclick=${() => setSure(false)}>${t("cancel")}</button>`
          : html`<button type="button" class="danger" ref=${next} aria-label=${t("revokeWho", { who })} onclick=${() => setSure(true)}>${t("revoke")}</button>`}
      </div>
    </li>`;
}

export function GrantList({ grants, attempt }) {
  // This computer's own pages are not among those that a person let in.
  const others = grants.filter((grant) => grant.kind !== "local" && grant.kind !== "session");
  if (others.length === 0) return html`<p class="none">${t("noGrants")}</p>`;
  return html`<ul class="grants">${others.map((grant) => html`<${Grant} key=${grant.grant} grant=${grant} attempt=${attempt} />`)}</ul>`;
}
