// The counter: readers live, cards as they come and go, the holder masked until the clerk asks.

import { connect } from "../lib/connection.js";
import { ReadersStore } from "../lib/readers-store.js";
import { html } from "../lib/html.js";
import { t } from "../lib/language.js";
import { QuestionCards, Questions, titleOf } from "../components/questions.js";
import { ReaderCards } from "../components/reader-card.js";
import { makePage, Shell } from "../components/page-shell.js";
import { PrintSlip } from "../components/print-slip.js";

const page = makePage(view, { titleKey: "counterTitle", choices: null, slip: null, refusal: null });
const store = new ReadersStore(redraw, (reader) => page.announce(t("wasRead", { reader: reader.info.name })));
const questions = new Questions(redraw, (question) => page.announce(titleOf(question)));

function redraw() {
  page.titleKey = questions.open.length ? "counterAsks" : "counterTitle";
  page.set({ problems: page.refusal ? [page.refusal] : store.problems });
}

function view() {
  const none = page.connection === "live" && store.readers.size === 0 && page.problems.length === 0;
  return html`
    <${Shell} page=${page} path="/" readers=${[...store.readers.values()].map((reader) => reader.info)}>
      ${questions.open.length > 0 && html`<${QuestionCards} questions=${questions} />`}
      <div class="readers"><${ReaderCards} page=${page} store=${store} /></div>
      ${none && html`<p class="none">${t("noReaders")}</p>`}
    <//>
    <${PrintSlip} slip=${page.slip} />`;
}

function onState(connection, refusal) {
  page.connection = connection;
  page.refusal = connection === "live" ? null : refusal;
  if (connection === "lost" || connection === "refused") { store.clear(); questions.clear(); }
  else if (connection === "live" && page.bridge) questions.attach(page.bridge);
  redraw();
}

async function onBridge(bridge) {
  const status = await bridge.status();
  store.attach(bridge, { reads: status.auto_read });
  page.bridge = bridge;
  if (status.simulated) page.choices = await bridge.request("/v1/simulator").catch(() => null);
}

redraw();
connect({ readings: true, questions: true, onBridge, onState, onEvent: (event) => { store.handle(event); questions.handle(event); } });
