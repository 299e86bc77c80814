// The counter: readers live, cards as they come and go, the holder masked until somebody asks.

import { connect } from "../lib/connection.js";
import { Desk } from "../lib/readers-store.js";
import { html } from "../lib/html.js";
import { say } from "../lib/language.js";
import { QuestionCards, Questions, titleOf } from "../components/questions.js";
import { ReaderCards } from "../components/reader-card.js";
import { makePage, Shell } from "../components/page-shell.js";
import { Slip } from "../components/print-slip.js";

const page = makePage(view, { titleKey: "counterTitle", choices: null, slip: null, refusal: null });
const desk = new Desk(redraw, (reader) => page.announce(say("wasRead", { reader: reader.info.name })));
const questions = new Questions(redraw, (question) => page.announce(titleOf(question)));

function redraw() {
  page.titleKey = questions.open.length ? "counterAsks" : "counterTitle";
  page.set({ problems: page.refusal ? [page.refusal] : desk.problems });
}

function view() {
  const none = page.connection === "live" && desk.readers.size === 0 && page.problems.length === 0;
  return html`
    <${Shell} page=${page} path="/" readers=${[...desk.readers.values()].map((reader) => reader.info)}>
      ${questions.open.length > 0 && html`<${QuestionCards} questions=${questions} />`}
      <div class="readers"><${ReaderCards} page=${page} desk=${desk} /></div>
      ${none && html`<p class="none">${say("noReaders")}</p>`}
    <//>
    <${Slip} slip=${page.slip} />`;
}

function onState(connection, refusal) {
  page.connection = connection;
  page.refusal = connection === "live" ? null : refusal;
  if (connection === "lost" || connection === "refused") { desk.clear(); questions.clear(); }
  else if (connection === "live" && page.bridge) questions.attach(page.bridge);
  redraw();
}

async function onBridge(bridge) {
  const status = await bridge.status();
  desk.attach(bridge, { reads: status.auto_read });
  page.bridge = bridge;
  if (status.simulated) page.choices = await bridge.request("/v1/simulator").catch(() => null);
}

redraw();
connect({ readings: true, questions: true, onBridge, onState, onEvent: (event) => { desk.take(event); questions.take(event); } });
