// What went wrong and what to do now: the same for the bridge's problems and the page's own.

import { html } from "../lib/html.js";
import { localized, t } from "../lib/language.js";

/** Whether a problem is no alarm: PC/SC is not there, and only simulated readers were asked for or are left. */
export function isQuiet(problem, readers) {
  return problem.code.startsWith("pcsc-") && readers.length > 0 && readers.every((info) => info.simulated);
}

/** What is said beside the work, where nothing went wrong. */
export const Aside = ({ problem }) => html`
  <p class="hint aside" role="note">${localized(problem, "title")}${t("comma")}${t("onlySimulated")}${t("stop")}${localized(problem, "remedy")}</p>`;

/** `level` is that of its heading, below the one that it stands under. */
export function Problem({ problem, level = 3, children }) {
  const detail = localized(problem, "detail");
  const driver = Number.isInteger(problem.driver_code) ? t("driverCode", { n: problem.driver_code }) : null;
  const marks = [problem.code, problem.sw, problem.hresult, driver].filter(Boolean);
  return html`
    <div class="problem" role="alert">
      <${`h${level}`} class="problem-title">${localized(problem, "title")}<//>
      ${detail && detail !== localized(problem, "title") && html`<p>${detail}</p>`}
      <p class="remedy">${t("remedy")}${localized(problem, "remedy")}</p>
      <p class="code">${marks.join(" · ")}</p>
      ${children}
    </div>`;
}
