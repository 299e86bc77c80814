// The functions of the national driver, to try: which, with what, and what its return code means.

import { problemOf } from "../lib/connection.js";
import { html, useEffect, useState } from "../lib/html.js";
import { localized, t } from "../lib/language.js";
import { Problem } from "./problem.js";

const written = (parameters) => JSON.stringify(parameters, null, 2);
let debitKey = ""; // the second step of a debit has the key of its first

/** What a function is tried with at first: the bridge's example, with the time of now and a debit's own key. */
function argumentsOf({ example, step }) {
  const now = new Date();
  const parts = [now.getFullYear(), now.getMonth() + 1, now.getDate(), now.getHours(), now.getMinutes(), now.getSeconds()];
  const time = parts.map((part) => String(part).padStart(2, "0")).join("");
  const begun = Object.entries(example).map(([name, value]) => [name, String(value) === value ? value.replace("YYYYMMDDhhmmss", time) : value]);
  if (!("idempotencyKey" in example)) return Object.fromEntries(begun);
  if (step < 2) debitKey = crypto.randomUUID();
  return { ...Object.fromEntries(begun), idempotencyKey: debitKey };
}

function Result({ result, codes }) {
  // Numbers, whatever they come as: a page that compares "-22" with -22 misses every error.
  const code = codes.find((one) => Number(one.code) === result.return);
  return html`
    <div class="result">
      <p class=${result.return < 0 ? "return bad" : "return good"}>${t("returned")} <strong>${result.return}</strong> ${code ? localized(code, "title") : result.return >= 0 ? t("success") : ""}</p>
      ${code && html`<p>${localized(code, "cause")}</p>${result.return < 0 && html`<p class="remedy">${t("remedy")}${localized(code, "remedy")}</p>`}`}
      <pre tabindex="0">${written(result)}</pre>
    </div>`;
}

function Codes({ codes }) {
  return html`
    <details class="codes">
      <summary>${t("codeTable", { n: codes.length })}</summary>
      <table>
        <caption class="unseen">${t("codeTable", { n: codes.length })}</caption>
        <thead><tr><th scope="col">${t("code")}</th><th scope="col">${t("meaning")}</th><th scope="col">${t("doWhat")}</th></tr></thead>
        <tbody>${codes.map((one) => html`<tr key=${one.code}><td class="count">${one.code}</td><td>${localized(one, "title")}<small>${localized(one, "cause")}</small></td><td>${localized(one, "remedy")}</td></tr>`)}</tbody>
      </table>
    </details>`;
}

// Before the readers are listed none is chosen, and a call would go to whichever has a card.
export function DriverTab({ bridge, info, isListed }) {
  const [state, setState] = useState({ name: "", text: "", result: null, problem: null, busy: false, codes: [], functions: [] });
  const change = (more) => setState((before) => ({ ...before, ...more }));
  useEffect(() => {
    const fail = (error) => change({ problem: problemOf(error) });
    bridge.request("/v1/driver/codes").then(({ codes }) => change({ codes }), fail);
    bridge.driverFunctions().then((functions) => {
      change({ functions, name: functions[0].name, text: written(argumentsOf(functions[0])) });
    }, fail);
  }, [bridge]);
  const choose = (name) => change({ name, text: written(argumentsOf(state.functions.find((one) => one.name === name))), result: null, problem: null });
  const run = async (event) => {
    event.preventDefault();
    let parameters;
    try {
      parameters = JSON.parse(state.text);
    } catch {
      change({ result: null, problem: { code: "json", title: t("notJson"), title_en: t("notJson"), remedy: t("mendJson"), remedy_en: t("mendJson") } });
      return;
    }
    change({ busy: true, result: null, problem: null });
    try {
      const { idempotencyKey, ...given } = parameters ?? {};
      const result = await bridge.driver(state.name, { reader: info?.name ?? null, ...given }, { idempotencyKey });
      change({ result, busy: false });
    } catch (error) {
      change({ problem: problemOf(error), busy: false });
    }
  };
  return html`
    <form class="driver" onsubmit=${run}>
      <label for="function">${t("function")}</label>
      <select id="function" onchange=${(event) => choose(event.target.value)}>
        ${state.functions.map(({ name }) => html`<option key=${name} value=${name} selected=${name === state.name}>${name}</option>`)}
      </select>
      <label for="arguments">${t("arguments")}</label>
      <textarea id="arguments" class="hex" rows="7" spellcheck=${false} value=${state.text} oninput=${(event) => change({ text: event.target.value })}></textarea>
      <button type="submit" class="main" disabled=${state.busy || !state.name || !isListed}>${t("run")}</button>
    </form>
    <div role="status">${state.result && html`<${Result} result=${state.result} codes=${state.codes} />`}</div>
    ${state.problem && html`<${Problem} problem=${state.problem} level=${2} />`}
    ${state.codes.length > 0 && html`<${Codes} codes=${state.codes} />`}`;
}
