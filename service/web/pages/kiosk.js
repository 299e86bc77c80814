// The kiosk: one reader, very large type, no more of the holder than the holder needs, and that not for long.

import { connect } from "../lib/connection.js";
import { ReadersStore } from "../lib/readers-store.js";
import { html, useEffect, useState } from "../lib/html.js";
import { CardPicture } from "../components/icons.js";
import { localized, t } from "../lib/language.js";
import { mask, maskMiddle } from "../lib/mask.js";
import { Text } from "../lib/rare.js";
import { LanguageButton, LiveRegion, makePage } from "../components/page-shell.js";

const SHOWN_SECONDS = 30;
const wanted = new URLSearchParams(location.search).get("reader");

const page = makePage(view, { titleKey: "kioskTitle", refusal: null, current: wanted, ends: 0 });
const store = new ReadersStore(changed, () => page.announce(t("takeCard")));
const timed = new WeakSet();

/** What was read is shown for a while and then forgotten, whether or not the card stays, and however its reading ends. */
function changed() {
  for (const reader of store.readers.values()) if (reader.reading && !timed.has(reader)) forgetLater(reader);
  page.draw();
}

function forgetLater(reader) {
  timed.add(reader);
  page.ends = Date.now() + SHOWN_SECONDS * 1000;
  setTimeout(() => {
    Object.assign(reader, { reading: null, taken: true });
    page.draw();
  }, SHOWN_SECONDS * 1000);
}

function onEvent(event) {
  store.handle(event);
  if (wanted) return;
  const { data, type } = event;
  if (type === "cardio.card-inserted" || type === "cardio.card-mute") {
    if (data.counts !== false) follow(data.reader); // the holder has chosen by putting the card in
  } else if (type === "cardio.state" || type.startsWith("cardio.reader-") || page.undecided) choose();
}

function follow(reader) {
  page.choices = (page.choices ?? 0) + 1;
  page.set({ current: reader, undecided: null });
}

/** Before a card has been put in it is the bridge's choice: another kind of card gives way, of two of ours none is taken. */
async function choose() {
  const number = (page.choices = (page.choices ?? 0) + 1);
  let chosen = null, undecided = null;
  try {
    chosen = (await page.bridge.chosen()).reader;
  } catch (error) {
    if (store.readers.size > 0) undecided = error.problem ?? null; // it is about the cards that are in
  }
  if (number === page.choices) page.set({ current: chosen ?? page.current, undecided });
}

function Countdown({ ends }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const every = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(every);
  }, []);
  const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
  return html`<p class="countdown">${t("clearsIn", { n: left })}</p>`;
}

function Person({ reading, whole }) {
  const { holder, card } = reading;
  return html`
    <div class="stage done">
      ${holder?.name && html`<p class="name"><${Text} value=${maskMiddle(holder.name)} /></p>`}
      ${holder?.social_security_number && html`<p class="number">${mask(holder.social_security_number, 3, 2)}</p>`}
      ${!holder && html`<p class="name">${t("cardRead")}</p>`}
      ${card.expiry_date && html`<p class="expiry">${t("expiry")} <strong>${card.expiry_date}</strong></p>`}
      <p class="take">${t(whole ? "takeCard" : "leaveCard")}</p>
      ${whole && html`<${Countdown} ends=${page.ends} />`}
    </div>`;
}

const Stage = ({ kind, title, text, children }) => html`
  <div class="stage ${kind}">
    ${children}
    <p class="headline">${title}</p>
    ${text && html`<p class="more">${text}</p>`}
  </div>`;

const Fault = ({ problem }) => html`
  <div class="stage error" role="alert">
    <${CardPicture} way="out" />
    <p class="headline">${localized(problem, "title")}</p>
    <p class="more">${localized(problem, "remedy")}</p>
  </div>`;

function Scene() {
  if (page.refusal) return html`<${Fault} problem=${page.refusal} />`;
  if (page.connection !== "live") return html`<${Stage} kind="idle" title=${t("connecting")} />`;
  if (page.undecided) return html`<${Fault} problem=${page.undecided} />`;
  const reader = store.readers.get(page.current);
  if (!reader) return html`<${Stage} kind="error" title=${t("outOfService")} text=${store.problems[0] ? localized(store.problems[0], "title") : t("askStaff")} />`;
  if (reader.reading) return html`<${Person} reading=${reader.reading} whole=${!reader.busy} />`;
  if (reader.taken) return html`<${Stage} kind="done" title=${t("takeCard")}><${CardPicture} way="out" /><//>`;
  if (reader.problem) return html`<${Fault} problem=${reader.problem} />`;
  if (reader.busy) return html`<${Stage} kind="reading" title=${t("reading")} text=${t("leaveCard")}><span class="spinner" aria-hidden="true"></span><//>`;
  return html`<${Stage} kind="idle" title=${t("insert")} text=${t("chipUp")}><${CardPicture} /><//>`;
}

function view() {
  return html`
    <header class="kiosk-top"><h1>${t("kioskTitle")}</h1><${LanguageButton} page=${page} /></header>
    <main><${Scene} /></main>
    <${LiveRegion} page=${page} />`;
}

page.draw();
connect({
  readings: true, onEvent,
  onBridge: async (bridge) => store.attach((page.bridge = bridge), { reads: (await bridge.status()).auto_read }),
  onState: (connection, refusal) => {
    if (connection === "lost" || connection === "refused") store.clear();
    page.set({ connection, refusal: connection === "live" ? null : refusal });
  },
});
