// One reader of the counter: what is in it, who the card belongs to, and what can be done with it.

import { Fragment, html, useEffect, useState } from "../lib/html.js";
import { Fields, Notes, Person, Proof } from "./holder.js";
import { CardPicture, Icon } from "./icons.js";
import { t } from "../lib/language.js";
import { Problem } from "./problem.js";
import { SimulatorPanel } from "./simulator.js";
import { print } from "./print-slip.js";

/** Who else has the reader, and for how long: the seconds run. */
function Lease({ reader }) {
  const [, tick] = useState(0);
  const { lease } = reader.info;
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const left = Math.max(0, Math.ceil((reader.leaseEnds - Date.now()) / 1000));
  return html`
    <p class="lease"><${Icon} name="lock" /><span>${t(lease.purpose ? "leasedFor" : "leased", { owner: lease.owner === "local" ? t("kind_local") : lease.owner, purpose: lease.purpose, n: left })}</span></p>`;
}

async function copyFor1101(page, store, reader) {
  const input = await store.attempt(reader, (bridge, options) => bridge.nhsa1101(reader.info.name, options));
  if (!input) return;
  try {
    await navigator.clipboard.writeText(JSON.stringify(input, null, 2));
    page.announce(t("copied", { field: t("nhsa1101") }));
  } catch {
    page.announce(t("notCopied"));
  }
}

function Actions({ page, store, reader }) {
  const { reading, shown, busy, info } = reader;
  const full = info.status !== "empty" && info.status !== "unavailable";
  if (!full) return null;
  return html`
    <div class="actions">
      ${reading?.holder && html`
        <button type="button" class="main" aria-pressed=${shown} onclick=${() => store.show(reader)}><${Icon} name=${shown ? "hide" : "eye"} />${t(shown ? "hide" : "show")}</button>`}
      ${!busy && html`<button type="button" onclick=${() => store.read(reader, { fresh: true })}><${Icon} name="again" />${t("again")}</button>`}
      ${reading?.holder && !busy && html`
        <button type="button" onclick=${() => print(page, reading)}><${Icon} name="print" />${t("print")}</button>
        <button type="button" onclick=${() => copyFor1101(page, store, reader)}><${Icon} name="list" />${t("copyNhsa1101")}</button>
        ${shown && !reader.photo && html`<button type="button" onclick=${() => store.photo(reader)}><${Icon} name="photo" />${t("photo")}</button>`}`}
    </div>`;
}

/** Card after card has refused the keys that are set up: a person who knows that they are right lets them go on. */
function StoppedKeys({ store, reader }) {
  const [sure, setSure] = useState(false);
  if (!reader.reading?.unread.some((one) => one.error === "sam-refused")) return null;
  const resume = async () => {
    setSure(false);
    if (await store.attempt(reader, (bridge) => bridge.request("/v1/keys/resume", { method: "POST" }))) store.read(reader);
  };
  return html`
    <div class="actions" role="group" aria-label=${t("keysStopped")}>
      ${sure
        ? html`
          <button type="button" class="danger" onclick=${resume}>${t("keysResumeSure")}</button>
          <button type="button" onclick=${() => setSure(false)}>${t("cancel")}</button>`
        : html`<button type="button" onclick=${() => setSure(true)}>${t("keysResume")}</button>`}
    </div>`;
}

function Waiting({ reader }) {
  if (!reader.info.counts) return html`<p class="none">${t("notCounting")}</p>`;
  if (reader.busy) return html`<p class="busy large"><span class="spinner" aria-hidden="true"></span>${t("reading")}</p>`;
  if (reader.problem || reader.info.status !== "empty") return null;
  return html`<div class="waiting"><${CardPicture} /><p>${t("insert")}</p></div>`;
}

function Head({ page, reader }) {
  const { reading, shown } = reader;
  return html`
    <div class="reading">
      <${Person} page=${page} reading=${reading} shown=${shown} />
      ${reader.photo && html`<img class="photo" src=${reader.photo} alt=${t("photoOf")} />`}
    </div>`;
}

function Rest({ page, reader }) {
  const { reading, shown, busy } = reader;
  return html`
    <${Fields} page=${page} reading=${reading} shown=${shown} />
    ${busy && html`<p class="busy"><span class="spinner" aria-hidden="true"></span>${t("readingRest")}</p>`}
    <${Notes} reading=${reading} shown=${shown || !reading.holder} />`;
}

export function ReaderCard({ page, store, reader }) {
  const { info, problem } = reader;
  const full = info.status !== "empty" && info.status !== "unavailable";
  return html`
    <article class=${full ? "with-card" : ""} data-reader=${info.name}>
      <h2><span>${info.name}</span><span class="status" data-status=${info.status}><span class="dot" aria-hidden="true"></span>${t(info.status)}</span></h2>
      ${info.lease && html`<${Lease} reader=${reader} />`}
      ${problem && !(info.lease && problem.code === "reader-leased") && html`
        <${Problem} problem=${problem}>
          ${reader.reading && html`<button type="button" onclick=${() => store.dismiss(reader)}>${t("dismiss")}</button>`}
        <//>`}
      ${reader.reading ? html`<${Head} page=${page} reader=${reader} />` : html`<${Waiting} reader=${reader} />`}
      ${reader.reading && html`<${Proof} proof=${reader.reading.proof} />`}
      <${Actions} page=${page} store=${store} reader=${reader} />
      ${reader.reading && html`<${Rest} page=${page} reader=${reader} />`}
      <${StoppedKeys} store=${store} reader=${reader} />
      <${SimulatorPanel} info=${info} choices=${page.choices} attempt=${(work) => store.attempt(reader, work)} />
    </article>`;
}

export const ReaderCards = ({ page, store }) => html`
  <${Fragment}>
    ${[...store.readers.values()].map((reader) => html`<${ReaderCard} key=${reader.info.name} page=${page} store=${store} reader=${reader} />`)}
  <//>`;
