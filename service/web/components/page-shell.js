// What every page of the desk has: its head, the way to the other pages, the connection, and one quiet voice.

import { html, render } from "../lib/html.js";
import { current, htmlLanguage, t, toggle } from "../lib/language.js";
import { keepLanguage } from "../lib/session.js";
import { Aside, isQuiet, Problem } from "./problem.js";

const PAGES = [["/", "navCounter"], ["/kiosk", "navKiosk"], ["/developer", "navDeveloper"], ["/pair", "navPair"]];

/** A page: its state, and how it is drawn anew. Several changes at once are drawn once. */
export function makePage(view, state) {
  const page = { ...state, connection: "connecting", problems: [], announcement: "", bridge: null };
  let due = false;
  const draw = () => {
    document.documentElement.lang = htmlLanguage();
    document.title = `${t(page.titleKey)} · cardio`;
    render(view(page), document.getElementById("page"));
  };
  page.draw = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => { due = false; draw(); });
  };
  page.set = (change) => { Object.assign(page, change); page.draw(); };
  /** For people who hear the page: said once, politely, and never anything of the card's holder. */
  page.announce = (text) => { page.set({ announcement: "" }); setTimeout(() => page.set({ announcement: text }), 50); };
  page.switchLanguage = () => { toggle(); keepLanguage(current()); page.draw(); };
  return page;
}

export function LanguageButton({ page }) {
  return html`<button type="button" class="language" lang=${htmlLanguage() === "en" ? "zh-CN" : "en"} onclick=${page.switchLanguage}>${t("language")}</button>`;
}

export const Connection = ({ page }) => html`
  <p class="connection" role="status" data-state=${page.connection}><span class="dot" aria-hidden="true"></span>${t(page.connection)}</p>`;

export const LiveRegion = ({ page }) => html`<p class="unseen" role="status" data-voice>${page.announcement}</p>`;

/** `readers` are those of the page, where it shows any. */
export function Shell({ page, path, readers = [], children }) {
  const quiet = page.problems.filter((problem) => isQuiet(problem, readers));
  const alarming = page.problems.filter((problem) => !quiet.includes(problem));
  return html`
    <a class="skip" href="#main">${t("skip")}</a>
    <header class="top">
      <p class="brand"><span class="mark" aria-hidden="true"></span>cardio</p>
      <h1>${t(page.titleKey)}</h1>
      <nav aria-label=${t("pages")}>
        ${PAGES.map(([where, word]) => html`<a href=${where} aria-current=${where === path ? "page" : undefined}>${t(word)}</a>`)}
      </nav>
      <${Connection} page=${page} />
      <${LanguageButton} page=${page} />
    </header>
    <main id="main" tabindex="-1">
      ${alarming.map((problem) => html`<${Problem} problem=${problem} level=${2} />`)}
      ${children}
      ${quiet.map((problem) => html`<${Aside} problem=${problem} />`)}
    </main>
    <${LiveRegion} page=${page} />`;
}
