// Pairing: who asks to be let in, in letters nobody misses, and who has been.

import { connect, problemOf } from "../parts/connection.js";
import { GrantList } from "../parts/grants.js";
import { html } from "../parts/html.js";
import { say } from "../parts/language.js";
import { PairingCard } from "../parts/pairing.js";
import { makePage, Shell } from "../parts/shell.js";

const EVERY_MS = 1500;
const page = makePage(view, { titleKey: "pairTitle", refusal: null, failure: null, requests: [], grants: null });

const showProblems = () => page.set({ problems: [page.refusal, page.failure].filter(Boolean) });

/** Asks for what waits and what is granted, and says so once when something new waits. */
async function refresh() {
  if (!page.bridge || page.connection !== "live") return;
  try {
    const [{ requests }, { grants }] = await Promise.all([page.bridge.request("/v1/pairing"), page.bridge.request("/v1/grants")]);
    const known = new Set(page.requests.map((one) => one.request));
    const fresh = requests.find((one) => !known.has(one.request));
    page.failure = null;
    page.set({ requests, grants });
    if (fresh) page.announce(say("asksNow", { origin: fresh.origin }));
  } catch (error) {
    page.failure = problemOf(error);
  }
  showProblems();
}

/** Does something that may fail, then shows what is now. */
async function attempt(work, then) {
  try {
    await work(page.bridge);
    page.failure = null;
  } catch (error) {
    page.failure = problemOf(error);
    showProblems();
    return;
  }
  await refresh();
  // What was pressed has gone with its card: the heading above it is where one goes on.
  document.getElementById(then)?.focus();
}

function view() {
  return html`
    <${Shell} page=${page} path="/pair">
      <section aria-labelledby="waiting">
        <h2 id="waiting" tabindex="-1">${say("waitingTitle")}</h2>
        ${page.requests.map((one) => html`<${PairingCard} key=${one.request} request=${one} attempt=${attempt} />`)}
        ${page.grants && page.requests.length === 0 && html`<p class="none">${say("nobodyAsks")}</p>`}
      </section>
      <section aria-labelledby="granted">
        <h2 id="granted" tabindex="-1">${say("grantsTitle")}</h2>
        ${page.grants && html`<${GrantList} grants=${page.grants} attempt=${attempt} />`}
      </section>
    <//>`;
}

function onState(connection, refusal) {
  page.connection = connection;
  page.refusal = connection === "live" ? null : refusal;
  if (connection !== "live") Object.assign(page, { requests: [], grants: null, failure: null });
  showProblems();
  refresh();
}

page.draw();
connect({ onBridge: (bridge) => { page.bridge = bridge; }, onState, onEvent: (event) => { if (event.type.startsWith("cardio.pairing") || event.type.startsWith("cardio.grant")) refresh(); } });
setInterval(refresh, EVERY_MS);
