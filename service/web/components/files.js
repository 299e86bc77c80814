// The files of a card: the tree, and one file with its items decoded beside the bytes.

import { problemOf } from "../lib/connection.js";
import { Proof } from "./holder.js";
import { html, useState } from "../lib/html.js";
import { localized, t } from "../lib/language.js";
import { Problem } from "./problem.js";
import { Text } from "../lib/rare.js";

const FEN = 100;

/** A value as people read it; money is kept in fen. */
function valueText(item) {
  const { value, unit } = item;
  if (value === null || value === undefined) return "—";
  if (typeof value === "object") return `${localized(value, "label") || t("unknownCode")} (${value.code})`;
  if (unit === "fen") return t("yuan", { n: (value / FEN).toFixed(2) });
  if (unit === "months") return t("months", { n: value });
  return String(value);
}

function Items({ items, depth = 0 }) {
  return items.flatMap((item, i) => [
    html`
      <tr key="${depth}-${i}" class="depth-${Math.min(depth, 2)}">
        <td class="hex">${item.tag ?? ""}</td>
        <td>${localized(item, "label")}<small>${item.name}</small></td>
        <td>${item.items ? "" : html`<${Text} value=${valueText(item)} />`}</td>
        <td class="hex">${item.raw}</td>
      </tr>`,
    ...(item.items ? Items({ items: item.items, depth: depth + 1 }) : []),
  ]);
}

function Content({ file }) {
  return html`
    <h2>${file.file} ${localized(file, "title")}</h2>
    <p class="facts">${[file.structure, file.opened_by && t("openedBy", { what: file.opened_by }), file.size && t("bytes", { n: file.size })].filter(Boolean).join(" · ")}</p>
    <${Proof} proof=${file.proof} />
    ${file.unread.map((one) => html`<p class="note">${[one.item, localized(one, "detail")].filter(Boolean).join(t("colon"))}${t("stop")}${localized(one, "remedy")}</p>`)}
    ${file.warnings.map((one) => html`<p class="note">${[one.item, localized(one, "detail")].filter(Boolean).join(t("colon"))}</p>`)}
    ${file.records.length > 0 && html`
      <table class="items">
        <caption class="unseen">${file.file}</caption>
        <thead><tr><th scope="col">${t("tag")}</th><th scope="col">${t("item")}</th><th scope="col">${t("value")}</th><th scope="col">${t("raw")}</th></tr></thead>
        ${file.records.map((record) => html`
          <tbody key=${record.number}>
            <tr class="record"><th colspan="4" scope="rowgroup">${t("record", { n: record.number })} ${record.title ?? ""}</th></tr>
            ${Items({ items: record.items })}
          </tbody>`)}
      </table>`}
    ${file.content && html`<p class="hex block">${file.content}</p>`}`;
}

function Tree({ tree, chosen, open }) {
  return html`
    <ul class="tree">
      ${tree.applications.map((application) => html`
        <li key=${application.id}>
          <p class="application"><strong>${application.id}</strong> ${localized(application, "title")}</p>
          <ul>
            ${application.files.map((file) => html`
              <li key=${file.file}>
                <button type="button" class=${file.readable ? "file" : "file closed"} aria-pressed=${file.file === chosen} onclick=${() => open(file.file)}>
                  <span class="file-name">${file.file.split("/").pop()}</span> ${localized(file, "title")}
                  ${file.readable && file.opened_by !== "free" && html`<small>${t("openedBy", { what: file.opened_by })}</small>`}
                  ${!file.readable && html`<small>${localized(file, "detail") || file.reason}</small>`}
                </button>
              </li>`)}
          </ul>
        </li>`)}
    </ul>`;
}

export function FilesTab({ bridge, info }) {
  const [state, setState] = useState({ tree: null, file: null, chosen: null, problem: null, busy: false });
  const change = (more) => setState((before) => ({ ...before, ...more }));
  const attempt = async (work) => {
    change({ busy: true, problem: null });
    try {
      change({ ...await work({ session: info.card_session }), busy: false });
    } catch (error) {
      change({ problem: problemOf(error), busy: false });
    }
  };
  const readTree = () => attempt(async (options) => ({ tree: await bridge.files(info.name, options), file: null, chosen: null }));
  const open = (file) => {
    change({ chosen: file, file: null });
    attempt(async (options) => ({ file: await bridge.file(info.name, file, options) }));
  };
  if (!info || info.status === "empty") return html`<p class="none">${t("insert")}</p>`;
  const { tree, file, chosen, problem, busy } = state;
  return html`
    <div class="actions">
      <button type="button" class=${tree ? "" : "main"} onclick=${readTree}>${t(tree ? "readTreeAgain" : "readTree")}</button>
      ${busy && html`<p class="busy" role="status"><span class="spinner" aria-hidden="true"></span>${t("reading")}</p>`}
    </div>
    ${problem && html`<${Problem} problem=${problem} level=${2} />`}
    ${tree && html`
      <div class="files">
        <${Tree} tree=${tree} chosen=${chosen} open=${open} />
        <div class="content" role="region" aria-label=${t("fileContent")} tabindex="0">${file ? html`<${Content} file=${file} />` : html`<p class="none">${t("chooseFile")}</p>`}</div>
      </div>`}`;
}
