// Who a card belongs to, and the card's own data: each field with its own button to copy it.

import { html, useState } from "../lib/html.js";
import { Icon } from "./icons.js";
import { codeLabel, localized, t } from "../lib/language.js";
import { mask } from "../lib/mask.js";
import { Text } from "../lib/rare.js";

/** Copies one field. A person who hears the page learns which field, never its value. */
export function Copy({ page, word, text }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 2000);
      page.announce(t("copied", { field: t(word) }));
    } catch {
      page.announce(t("notCopied"));
    }
  };
  return html`
    <button type="button" class="copy" title=${t("copy", { field: t(word) })} aria-label=${t("copy", { field: t(word) })} onclick=${copy}>
      <${Icon} name=${done ? "done" : "copy"} />
    </button>`;
}

function Rows({ page, fields }) {
  const present = fields.filter(({ text }) => text !== null && text !== undefined && text !== "");
  return html`
    <dl class="fields">
      ${present.map(({ word, text, shown }) => html`
        <div key=${word}>
          <dt>${t(word)}</dt>
          <dd><span><${Text} value=${shown ?? text} /></span><${Copy} page=${page} word=${word} text=${text} /></dd>
        </div>`)}
    </dl>`;
}

const field = (word, text, shown, ...ends) => ({ word, text, shown: text && !shown ? mask(text, ...ends) : text });

/** Name and number, large. */
export function Person({ page, reading, shown }) {
  const { holder } = reading;
  if (!holder) return html`<p class="closed"><${Icon} name="lock" />${t("closed")}</p>`;
  const name = field("name", holder.name, shown, 1);
  const number = field("number", holder.social_security_number, shown, 3, 2);
  return html`
    <div class="person">
      <p class="name-line"><span class="name"><${Text} value=${name.shown ?? "—"} /></span>${name.text && html`<${Copy} page=${page} ...${name} />`}</p>
      <p class="number-line"><span class="number">${number.shown ?? "—"}</span>${number.text && html`<${Copy} page=${page} ...${number} />`}</p>
    </div>`;
}

/** How far the card was proved genuine, and why no further. */
export function Proof({ proof }) {
  if (!proof) return null;
  const sure = proof.outcome === "genuine" && !proof.test_keys;
  const word = sure ? "proofGenuine" : proof.outcome === "genuine" ? "proofTestKeys" : "proofNone";
  return html`
    <p class="proof" data-proof=${sure ? "genuine" : proof.outcome === "genuine" ? "test-keys" : proof.outcome}>
      <${Icon} name=${sure ? "done" : "warning"} /><span><strong>${t(word)}</strong>${t("colon")}${localized(proof, "detail")}</span>
    </p>`;
}

/** The rest of the holder's data, then the card's own. */
export function Fields({ page, reading, shown }) {
  const { holder, card, derived } = reading;
  const born = field("birthDate", holder?.birth_date, shown, 4);
  if (born.text && shown && derived.age !== null) born.shown = `${born.text} (${derived.age} ${t("years")})`;
  return html`
    ${holder && html`
      <${Rows} page=${page} fields=${[
        field("sex", codeLabel(holder.sex), shown, 0), field("ethnicGroup", codeLabel(holder.ethnic_group), shown, 0), born,
        field("birthplace", codeLabel(holder.birthplace), shown, 0), field("nationality", codeLabel(holder.nationality), shown, 0),
        field("residence", holder.residence, shown, 0), field("registration", holder.household_registration, shown, 0),
      ]} />`}
    <${Rows} page=${page} fields=${[
      field("cardNumber", card.card_number, shown, 1, 2), { word: "region", text: card.region && (card.region.name ?? card.region.code) },
      { word: "cardClass", text: codeLabel(card.card_class) }, { word: "version", text: [card.spec_version, card.algorithm].filter(Boolean).join(" · ") },
      { word: "issued", text: card.issue_date }, { word: "expiry", text: card.expiry_date },
    ]} />`;
}

/** The warnings; then what could not be read, in words, with one line for each reason.
    What is said of a single item may hold its value: it is masked with the rest. */
export function Notes({ reading, shown }) {
  const places = new Map();
  const hidden = shown ? 0 : [...reading.warnings, ...reading.unread].filter((note) => note.item).length;
  const open = (note) => shown || !note.item;
  for (const one of reading.unread.filter(open)) {
    const what = localized(one, "title") || [one.file, one.item].filter(Boolean).join(" ");
    const detail = localized(one, "detail");
    // A status word tells a clerk nothing where the remedy says what opens the file.
    const plain = one.reason.startsWith("needs-") && !one.error ? localized(one, "remedy") : `${detail}${t("stop")}${localized(one, "remedy")}`;
    if (detail.startsWith(what)) places.set(plain, []);
    else places.set(plain, [...(places.get(plain) ?? []), what]);
  }
  const lines = [
    ...(hidden ? [t("itemsToCheck", { n: hidden })] : []),
    ...reading.warnings.filter(open).map((one) => `${t("warnings")}${t("colon")}${localized(one, "detail")}`),
    ...[...places].map(([why, parts]) => (parts.length ? `${t("unread", { what: parts.join(t("comma")) })}${t("colon")}${why}` : why)),
  ];
  return lines.length ? html`<ul class="notes">${lines.map((line) => html`<li key=${line}><${Text} value=${line} /></li>`)}</ul>` : null;
}
