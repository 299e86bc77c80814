// The doorway: kept at the address that people type, it leads to where the pages are now, or says why it cannot.

import { LanguageButton, makePage } from "../components/page-shell.js";
import { Problem } from "../components/problem.js";
import { html } from "../lib/html.js";
import { t } from "../lib/language.js";
import { ownProblem } from "../lib/own-problem.js";
import { followBridge, forgetKeeper, refuseStrangeKeeper, storedDoorway } from "../lib/session.js";

const LOOK_MS = 2000;
const PROBLEMS = {
  stranger: ownProblem("imposter", "doorwayImposter"),
  silent: ownProblem("not-running", "offline"),
  unknown: ownProblem("no-token", "noToken"),
};
const page = makePage(view, { titleKey: "doorwayTitle" });

function view() {
  return html`
    <header class="top">
      <p class="brand"><span class="mark" aria-hidden="true"></span>cardio</p>
      <h1>${t(page.titleKey)}</h1>
      <${LanguageButton} page=${page} />
    </header>
    <main>${!page.problems.length && html`<p class="hint">${t("connecting")}</p>`}${page.problems.map((problem) => html`<${Problem} problem=${problem} level=${2} />`)}</main>`;
}

let proved = false;
page.draw();
refuseStrangeKeeper(() => proved);
for (let known = null; ;) {
  known ??= storedDoorway(); // it may be forgotten meanwhile: a link of the next run has the browser do so
  const found = known?.recall ? await followBridge(known, `#doorway=${location.hostname}`) : "unknown";
  proved = found === "moves" || found === "stays";
  if (proved) {
    // The pages are at this very address now, and the worker that has this page is in their way.
    if (found === "stays" && await forgetKeeper()) location.reload();
    break;
  }
  page.set({ problems: [PROBLEMS[found]] });
  await new Promise((resume) => setTimeout(resume, LOOK_MS));
}
