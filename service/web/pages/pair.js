// Pairing: the requests, in large letters, and the grants.

import { connect, problemOf } from "../lib/connection.js";
import { GrantList } from "../components/grants.js";
import { html } from "../lib/html.js";
import { localized, t } from "../lib/language.js";
import { Origin } from "../lib/origin.js";
import { FindByCode, PairingCard } from "../components/pairing.js";
import { makePage, Shell } from "../components/page-shell.js";

const EVERY_MS = 1500;
const MOVING_MS = 700; // a button that has just moved under a finger is not pressed
const page = makePage(view, { titleKey: "pairTitle", refusal: null, refreshError: null, actionError: null, requests: [], more: 0, code: "", moving: false, refused: [], grants: null, grantable: [] });
let still;

/** The list has changed: for a moment nothing can be let in, or another site's button would be pressed for this one's. */
function move() {
  clearTimeout(still);
  page.moving = true;
  still = setTimeout(() => page.set({ moving: false }), MOVING_MS);
}

/** `refreshError` is of the last look and goes with the next; `actionError` is of what a person pressed, and stays until then. */
const showProblems = () => page.set({ problems: [page.refusal, page.refreshError, page.actionError].filter(Boolean) });

/** Asks for what waits and what is granted, and says so once when something new waits. */
async function refresh() {
  if (!page.bridge || page.connection !== "live") return;
  try {
    const waiting = page.code ? `/v1/pairing?code=${encodeURIComponent(page.code)}` : "/v1/pairing";
    const looks = [page.bridge.request(waiting), page.bridge.request("/v1/grants"), page.bridge.me()];
    const [{ requests, more = 0, refused = [] }, { grants }, { scopes: grantable }] = await Promise.all(looks);
    const known = new Set(page.requests.map((one) => one.request));
    const fresh = requests.find((one) => !known.has(one.request));
    page.refreshError = null;
    if (requests.map((one) => one.request).join() !== page.requests.map((one) => one.request).join()) move();
    page.set({ requests, more, refused: refused.filter((one) => !requests.some((asks) => asks.origin === one.origin)), grants, grantable });
    if (fresh) page.announce(t("asksNow", { origin: fresh.origin }));
  } catch (error) {
    page.refreshError = problemOf(error);
  }
  showProblems();
}

/** The request of this code is looked for among all that wait, and comes first. */
async function find(code) {
  page.code = code;
  await refresh();
}

const inOrder = () => {
  const wanted = (one) => page.code !== "" && one.code.replaceAll(" ", "") === page.code;
  return [...page.requests.filter(wanted), ...page.requests.filter((one) => !wanted(one))];
};

/** Does something that may fail, then shows what is now. */
async function attempt(work, then) {
  try {
    await work(page.bridge);
    page.actionError = null;
  } catch (error) {
    page.actionError = problemOf(error);
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
        <h2 id="waiting" tabindex="-1">${t("waitingTitle")}</h2>
        ${page.more > 0 && html`<${FindByCode} more=${page.more} onCode=${find} />`}
        ${inOrder().map((one) => html`<${PairingCard} key=${one.request} request=${one} grantable=${page.grantable} moving=${page.moving} attempt=${attempt} />`)}
        ${page.grants && page.requests.length === 0 && html`<p class="none">${t("nobodyAsks")}</p>`}
      </section>
      ${page.refused.length > 0 && html`
        <section aria-labelledby="refused">
          <h2 id="refused">${t("refusedTitle")}</h2>
          ${page.refused.map((one) => html`<article class="pairing refused" key=${`${one.dialect} ${one.origin}`}>
            <div class="address"><${Origin} origin=${one.origin || t("noOrigin")} site=${one.site} /></div>
            <p class="advice">${localized(one, "remedy")}</p>
          </article>`)}
        </section>`}
      <section aria-labelledby="granted">
        <h2 id="granted" tabindex="-1">${t("grantsTitle")}</h2>
        ${page.grants && html`<${GrantList} grants=${page.grants} attempt=${attempt} />`}
      </section>
    <//>`;
}

function onState(connection, refusal) {
  page.connection = connection;
  page.refusal = connection === "live" ? null : refusal;
  if (connection !== "live") Object.assign(page, { requests: [], more: 0, refused: [], grants: null, refreshError: null, actionError: null });
  showProblems();
  refresh();
}

page.draw();
connect({ onBridge: (bridge) => { page.bridge = bridge; }, onState, onEvent: (event) => { if (event.type.startsWith("cardio.pairing") || event.type.startsWith("cardio.grant")) refresh(); } });
setInterval(refresh, EVERY_MS);
