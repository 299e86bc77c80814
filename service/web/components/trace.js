// The last conversation with the card, each command by its name; and single commands to software cards.

import { problemOf } from "../lib/connection.js";
import { html, useEffect, useState } from "../lib/html.js";
import { localized, t } from "../lib/language.js";
import { Problem } from "./problem.js";

const HEADER = 8;
const good = (sw) => sw === "9000" || /^61/.test(sw ?? "");

/** The bytes of a software card; of a real one nothing but their number is kept. */
const Data = ({ text, length }) => (text === null
  ? length > 0 && html`<span class="hex">${t("dataKept", { n: length })}</span>`
  : html`<span class="hex">${text}</span>`);

function Exchange({ exchange }) {
  const { number, header, command, lc, response, length, sw, milliseconds } = exchange;
  return html`
    <tr>
      <td class="count">${number}</td>
      <td><span class="command-name">${localized(exchange, "name")}</span><strong class="hex">${header}</strong><${Data} text=${command && command.slice(HEADER)} length=${lc} /></td>
      <td><span class=${good(sw) ? "meaning good" : "meaning bad"}>${sw} ${localized(exchange, "meaning")}</span><${Data} text=${response && response.slice(0, -4)} length=${length} /></td>
      <td class="count">${milliseconds} ms</td>
    </tr>`;
}

function Single({ bridge, info, heard }) {
  const [state, setState] = useState({ command: "0084000008", answer: null, problem: null });
  const change = (more) => setState((before) => ({ ...before, ...more }));
  const send = async (event) => {
    event.preventDefault();
    try {
      const command = state.command.replace(/\s/g, "").toUpperCase();
      const answer = await bridge.request(`/v1/readers/${encodeURIComponent(info.name)}/apdu`, { method: "POST", body: { command } });
      change({ answer, problem: null });
    } catch (error) {
      change({ answer: null, problem: problemOf(error) });
    }
    heard();
  };
  const { answer } = state;
  return html`
    <form class="single" onsubmit=${send}>
      <label for="apdu">${t("singleCommand")}</label>
      <input id="apdu" class="hex" value=${state.command} spellcheck=${false} autocomplete="off" oninput=${(event) => change({ command: event.target.value })} />
      <button type="submit">${t("send")}</button>
    </form>
    <div role="status">${answer && html`<p class="answer"><span class="hex">${answer.response}</span> <span class=${good(answer.sw) ? "meaning good" : "meaning bad"}>${answer.sw} ${localized(answer, "meaning")}</span></p>`}</div>
    ${state.problem && html`<${Problem} problem=${state.problem} level=${2} />`}`;
}

export function TraceTab({ bridge, info, tick, scopes }) {
  const [state, setState] = useState({ trace: null, problem: null });
  const load = async () => {
    if (!info) return;
    try {
      setState({ trace: await bridge.request(`/v1/readers/${encodeURIComponent(info.name)}/trace`), problem: null });
    } catch (error) {
      setState({ trace: null, problem: problemOf(error) });
    }
  };
  useEffect(() => { load(); }, [info?.name, info?.card_session, tick]);
  if (!info) return html`<p class="none">${t("noReaders")}</p>`;
  const exchanges = state.trace?.exchanges ?? [];
  return html`
    ${info.simulated && scopes.includes("apdu") && html`<${Single} bridge=${bridge} info=${info} heard=${load} />`}
    <div class="actions"><button type="button" onclick=${load}>${t("refresh")}</button></div>
    ${state.problem && html`<${Problem} problem=${state.problem} level=${2} />`}
    ${state.trace && exchanges.length === 0 && html`<p class="none">${t("noTrace")}</p>`}
    ${exchanges.length > 0 && html`
      <table class="trace">
        <caption class="unseen">${t("tab_trace")}</caption>
        <thead><tr><th scope="col">#</th><th scope="col">${t("command")}</th><th scope="col">${t("response")}</th><th scope="col">${t("time")}</th></tr></thead>
        <tbody>${exchanges.map((one) => html`<${Exchange} key=${one.number} exchange=${one} />`)}</tbody>
      </table>`}`;
}
