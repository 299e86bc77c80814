// The panel of a simulated reader: which software card is in it, and how it fails.

import { html } from "../lib/html.js";
import { localized, t } from "../lib/language.js";

/** What was chosen at each reader; it outlives the next drawing of the page. */
const chosen = new Map();

/** One step with the card of a simulated reader. */
export function simulate(bridge, name, { method, path = "card", body }) {
  return bridge.request(`/v1/simulator/readers/${encodeURIComponent(name)}/${path}`, { method, body });
}

export function SimulatorPanel({ info, choices, attempt, wide = false }) {
  if (!choices || !info.simulated) return null;
  const mine = chosen.get(info.name) ?? { persona: choices.personas[0]?.id, fault: "" };
  const choose = (change) => chosen.set(info.name, { ...mine, ...chosen.get(info.name), ...change });
  const insert = () => {
    const { persona, fault } = chosen.get(info.name) ?? mine;
    attempt((bridge) => simulate(bridge, info.name, { method: "PUT", body: { persona, fault: fault || null } }));
  };
  const pull = () => attempt((bridge) => simulate(bridge, info.name, { method: "DELETE" }));
  const turn = () => attempt((bridge) => simulate(bridge, info.name, { method: "POST", path: "turn-over" }));
  const back = () => attempt((bridge) => simulate(bridge, info.name, { method: "POST", path: "put-back" }));
  const full = info.status !== "empty" && info.status !== "unavailable";
  return html`
    <div class="simulator">
      <p class="simulator-title">${t("simulator")}</p>
      <select aria-label=${t("persona")} onchange=${(event) => choose({ persona: event.target.value })}>
        ${choices.personas.map((one) => html`<option key=${one.id} value=${one.id} selected=${one.id === mine.persona}>${one.id} · ${localized(one, "title")}</option>`)}
      </select>
      <select aria-label=${t("fault")} onchange=${(event) => choose({ fault: event.target.value })}>
        <option value="" selected=${!mine.fault}>${t("noFault")}</option>
        ${choices.faults.map((fault) => html`<option key=${fault} value=${fault} selected=${fault === mine.fault}>${fault}</option>`)}
      </select>
      <div class="actions">
        <button type="button" onclick=${insert}>${wide && full ? t("swap") : t("putIn")}</button>
        <button type="button" onclick=${pull}>${t("takeOut")}</button>
        ${wide && html`<button type="button" onclick=${back}>${t("putBack")}</button>`}
        ${wide && html`<button type="button" onclick=${turn}>${t("turnOver")}</button>`}
      </div>
    </div>`;
}
