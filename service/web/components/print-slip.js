// The slip: what a counter prints for a file. It is in the page only while it is printed.

import { html } from "../lib/html.js";
import { formatTime, localized, t } from "../lib/language.js";
import { Text } from "../lib/rare.js";

/** Prints a slip of a reading, and takes it away again. */
export function print(page, reading) {
  const ended = () => {
    removeEventListener("afterprint", ended);
    document.documentElement.classList.remove("with-slip");
    page.set({ slip: null });
  };
  page.set({ slip: { reading, time: new Date() } });
  addEventListener("afterprint", ended);
  setTimeout(() => {
    document.documentElement.classList.add("with-slip");
    window.print();
  }, 50);
}

export function PrintSlip({ slip }) {
  if (!slip) return null;
  const { holder, card, reader, proof } = slip.reading;
  const rows = [
    ["name", holder?.name], ["number", holder?.social_security_number], ["cardNumber", card.card_number],
    ["expiry", card.expiry_date], ["readAt", formatTime(slip.time)], ["readBy", reader],
    ["proof", proof && (proof.outcome === "genuine" ? t(proof.test_keys ? "proofTestKeys" : "proofGenuine") : `${t("proofNone")}${t("colon")}${localized(proof, "detail")}`)],
  ].filter(([, text]) => text);
  return html`
    <section class="slip" aria-hidden="true">
      <h2>${t("slipTitle")}</h2>
      <dl>${rows.map(([word, text]) => html`<div key=${word}><dt>${t(word)}</dt><dd><${Text} value=${text} /></dd></div>`)}</dl>
      <p>${t("slipFoot")}</p>
    </section>`;
}
