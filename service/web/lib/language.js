// Which language the pages speak, and how they say things.

import { words } from "../i18n/index.js";

const KEY = "cardio-language";
let language = storedLanguage() ?? "zh";

function storedLanguage() {
  try {
    const found = localStorage.getItem(KEY);
    return found in words ? found : null;
  } catch {
    return null;
  }
}

export const current = () => language;

export function toggle() {
  setLanguage(language === "zh" ? "en" : "zh");
}

/** Takes the language that was chosen at another address, unless one was chosen here. */
export function adoptLanguage(chosen) {
  if (chosen in words && !storedLanguage()) setLanguage(chosen);
}

function setLanguage(chosen) {
  language = chosen;
  try {
    localStorage.setItem(KEY, language);
  } catch { /* it lasts as long as the page, then */ }
}

/** A word of the page; `{n}` and the like are put in. */
export function t(key, values = {}) {
  const text = words[language][key] ?? key;
  return Object.entries(values).reduce((so, [name, value]) => so.replace(`{${name}}`, () => value), text);
}

/** What the bridge says in two languages: `title` and `title_en`. */
export const localized = (object, key) => (language === "en" && object[`${key}_en`]) || object[key] || "";

/** The words of a code; the code itself where no table knows it. */
export const codeLabel = (value) => (value ? localized(value, "label") || value.code : null);

export const htmlLanguage = () => (language === "zh" ? "zh-CN" : "en");

/** A moment as people at this desk write it. */
export function formatTime(date, seconds = false) {
  const two = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}
