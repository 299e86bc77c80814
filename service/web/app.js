// The page: readers live, cards as they come and go, the holder masked until somebody asks.

import { Client, Refusal, takeToken } from "./client.js";
import { readerView } from "./view.js";
import { words } from "./words.js";

const place = (id) => document.getElementById(id);
const readers = new Map(); // name -> { info, reading, problem, busy, shown }
const page = { language: sessionStorage.getItem("cardio-language") ?? "zh", connection: "connecting", problems: [], choices: null, chosen: new Map() };
let client = null;

const choices = () => page.choices?.personas.map((persona) => persona.id) ?? [];
const say = (key) => words[page.language][key];

function render() {
  document.documentElement.lang = page.language === "zh" ? "zh-CN" : "en";
  document.querySelector("[data-word=title]").textContent = say("title");
  place("language").textContent = say("language");
  place("language").lang = page.language === "zh" ? "en" : "zh-CN";
  place("connection").textContent = say(page.connection);
  place("connection").dataset.state = page.connection;
  const view = readerView(page.language, page.choices);
  place("problems").replaceChildren(...page.problems.map((problem) => view.problem(problem)));
  const focused = document.activeElement?.dataset?.focus;
  place("readers").replaceChildren(...[...readers.values()].map((reader) => view.reader(reader, actions)));
  if (focused) document.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  place("none").hidden = readers.size > 0 || page.connection !== "live" || page.problems.length > 0;
  place("none").textContent = say("noReaders");
}

const actions = {
  show(reader) { reader.shown = !reader.shown; render(); },
  read(reader) { read(reader); },
  // What is chosen outlives the next drawing of the page.
  choose(reader, choice) { page.chosen.set(reader.info.name, { ...actions.chosen(reader), ...choice }); },
  chosen(reader) { return page.chosen.get(reader.info.name) ?? { persona: choices()[0], fault: "" }; },
  async insert(reader) {
    const { persona, fault } = actions.chosen(reader);
    await simulate(reader, { method: "PUT", body: { persona, fault: fault || null } });
  },
  async pull(reader) { await simulate(reader, { method: "DELETE" }); },
};

async function simulate(reader, options) {
  try {
    await client.json(`/v1/simulator/readers/${encodeURIComponent(reader.info.name)}/card`, options);
  } catch (error) {
    fail(reader, error);
    render();
  }
}

async function read(reader) {
  const counter = reader.info.event_counter;
  const stillIn = () => readers.get(reader.info.name) === reader && reader.info.event_counter === counter;
  Object.assign(reader, { reading: null, problem: null, shown: false, busy: true });
  render();
  try {
    const reading = await client.json(`/v1/readers/${encodeURIComponent(reader.info.name)}/card`);
    if (stillIn()) reader.reading = reading;
  } catch (error) {
    if (stillIn()) fail(reader, error);
  }
  if (stillIn()) reader.busy = false;
  render();
}

function fail(reader, error) {
  reader.problem = error instanceof Refusal ? error.problem : offline();
}

function offline() {
  return {
    code: "offline", title: words.zh.offlineTitle, title_en: words.en.offlineTitle, detail: "", detail_en: "",
    remedy: words.zh.offlineRemedy, remedy_en: words.en.offlineRemedy,
  };
}

function clear(info) {
  readers.set(info.name, { info, reading: null, problem: null, busy: false, shown: false });
  return readers.get(info.name);
}

function onEvent(kind, data) {
  if (kind === "state") {
    readers.clear();
    page.problems = data.problems;
    for (const info of data.readers) {
      const reader = clear(info);
      if (info.status === "card" || info.status === "mute") read(reader);
    }
  } else if (kind === "service-down") {
    client.json("/v1/readers").then((list) => { page.problems = list.problems; render(); }, () => {});
  } else if (kind === "service-up") {
    page.problems = [];
  } else if (kind === "reader-removed") {
    readers.delete(data.reader);
  } else {
    const status = { "card-inserted": "card", "card-mute": "mute" }[kind] ?? "empty";
    const reader = clear({
      name: data.reader, simulated: data.simulated, status, atr: data.atr, event_counter: data.event_counter ?? 0,
    });
    if (status !== "empty") read(reader);
  }
  render();
}

function onState(state, problem) {
  page.connection = state;
  if (state === "lost") {
    // What is shown may no longer be true, and it is somebody's data.
    readers.clear();
    page.problems = [offline()];
  }
  if (state === "refused") page.problems = [problem];
  render();
}

place("language").addEventListener("click", () => {
  page.language = page.language === "zh" ? "en" : "zh";
  sessionStorage.setItem("cardio-language", page.language);
  render();
});

const token = takeToken();
if (token) {
  client = new Client(token);
  render();
  client.json("/v1/simulator").then((choices) => { page.choices = choices; render(); }, () => {});
  client.follow(onEvent, onState);
} else {
  onState("refused", {
    code: "no-token", title: words.zh.noTokenTitle, title_en: words.en.noTokenTitle, detail: "", detail_en: "",
    remedy: words.zh.noTokenRemedy, remedy_en: words.en.noTokenRemedy,
  });
}
