// What a reader looks like. Text goes in as text only, never as markup: a card is data.

import { words } from "./words.js";

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A value with all but its ends hidden. */
export function mask(text, first = 1, last = 0) {
  if (first + last === 0) return "＊＊";
  const characters = [...text];
  return characters.map((c, i) => (i < first || i >= characters.length - last ? c : "＊")).join("");
}

export function readerView(language, choices) {
  const say = (key) => words[language][key];
  const pick = (object, key) => (language === "en" && object[`${key}_en`]) || object[key] || "";
  const coded = (value) => (value ? pick(value, "label") || value.code : null);

  function problem(p) {
    const detail = pick(p, "detail");
    return make("div", { className: "problem", role: "alert" },
      make("h3", {}, pick(p, "title")),
      detail && detail !== pick(p, "title") ? make("p", {}, detail) : null,
      make("p", {}, say("remedy") + pick(p, "remedy")),
      make("p", { className: "code" }, [p.code, p.sw, p.hresult].filter(Boolean).join(" · ")));
  }

  function rows(pairs) {
    const present = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return make("dl", {}, ...present.flatMap(([key, value]) => [make("dt", {}, say(key)), make("dd", {}, value)]));
  }

  function holder(reading, shown) {
    const h = reading.holder;
    if (!h) return make("p", { className: "hint" }, say("closed"));
    const hide = (text, ...ends) => (text && !shown ? mask(text, ...ends) : text);
    const born = h.birth_date && reading.derived.age !== null
      ? `${hide(h.birth_date, 4)}${shown ? ` (${reading.derived.age} ${say("years")})` : ""}` : hide(h.birth_date, 4);
    return make("div", {},
      make("p", { className: "name" }, hide(h.name, 1) ?? "—"),
      make("p", { className: "number" }, hide(h.social_security_number, 3, 2) ?? "—"),
      rows([
        ["sex", hide(coded(h.sex), 0)], ["ethnicGroup", hide(coded(h.ethnic_group), 0)], ["birthDate", born],
        ["birthplace", hide(coded(h.birthplace), 0)], ["nationality", hide(coded(h.nationality), 0)],
        ["residence", hide(h.residence, 0)], ["registration", hide(h.household_registration, 0)],
      ]));
  }

  function card(reading, shown) {
    const c = reading.card;
    return rows([
      ["cardNumber", c.card_number && !shown ? mask(c.card_number, 1, 2) : c.card_number],
      ["region", c.region ? c.region.name ?? c.region.code : null], ["cardClass", coded(c.card_class)],
      ["version", [c.spec_version, c.algorithm].filter(Boolean).join(" · ")],
      ["issued", c.issue_date], ["expiry", c.expiry_date],
    ]);
  }

  /** The warnings; then what could not be read, files with the same reason on one line.
      What is said of a single item may hold its value: it is masked with the rest. */
  function notes(reading, shown) {
    const places = new Map();
    const hidden = shown ? 0 : [...reading.warnings, ...reading.unread].filter((note) => note.item).length;
    const open = (note) => shown || !note.item;
    for (const u of reading.unread.filter(open)) {
      const why = `${pick(u, "detail")}${say("stop")}${pick(u, "remedy")}`;
      places.set(why, [...(places.get(why) ?? []), [u.file, u.item].filter(Boolean).join(" ")]);
    }
    const lines = [
      ...(hidden ? [say("itemsToCheck").replace("{n}", hidden)] : []),
      ...reading.warnings.filter(open).map((w) => `${say("warnings")}${say("colon")}${pick(w, "detail")}`),
      ...[...places].map(([why, files]) => `${say("unread")} ${files.join(say("comma"))}${say("colon")}${why}`),
    ];
    return lines.length ? make("ul", { className: "notes" }, ...lines.map((line) => make("li", {}, line))) : null;
  }

  function simulator(reader, actions) {
    if (!choices || !reader.info.simulated) return null;
    const name = reader.info.name;
    const persona = make("select", { ariaLabel: say("persona"), data: { focus: `persona ${name}` }, onchange: () => actions.choose(reader, { persona: persona.value }) },
      ...choices.personas.map((p) => make("option", { value: p.id, selected: p.id === actions.chosen(reader).persona }, `${p.id} · ${pick(p, "title")}`)));
    const fault = make("select", { ariaLabel: say("fault"), data: { focus: `fault ${name}` }, onchange: () => actions.choose(reader, { fault: fault.value }) },
      make("option", { value: "" }, say("noFault")),
      ...choices.faults.map((f) => make("option", { value: f, selected: f === actions.chosen(reader).fault }, f)));
    return make("div", { className: "simulator" },
      make("div", { className: "hint" }, say("simulator")), persona,
      make("div", { className: "actions" }, fault,
        make("button", { type: "button", data: { focus: `insert ${name}` }, onclick: () => actions.insert(reader) }, say("putIn")),
        make("button", { type: "button", data: { focus: `pull ${name}` }, onclick: () => actions.pull(reader) }, say("takeOut"))));
  }

  function body(reader) {
    if (reader.busy) return [make("p", { className: "hint" }, say("reading"))];
    if (reader.problem) return [problem(reader.problem)];
    if (reader.reading) return [holder(reader.reading, reader.shown), card(reader.reading, reader.shown), notes(reader.reading, reader.shown || !reader.reading.holder)];
    return [make("p", { className: "hint" }, say("insert"))];
  }

  function reader(r, actions) {
    const withCard = r.info.status !== "empty" && r.info.status !== "unavailable";
    const buttons = make("div", { className: "actions" },
      r.reading?.holder ? make("button", { type: "button", className: "main", data: { focus: `show ${r.info.name}` }, onclick: () => actions.show(r) }, say(r.shown ? "hide" : "show")) : null,
      withCard && !r.busy ? make("button", { type: "button", data: { focus: `read ${r.info.name}` }, onclick: () => actions.read(r) }, say("again")) : null);
    return make("article", { className: withCard ? "with-card" : "", data: { reader: r.info.name } },
      make("h2", {}, r.info.name, make("span", { className: "status" }, say(r.info.status))),
      ...body(r), buttons, simulator(r, actions));
  }

  return { reader, problem };
}
