// Which language the pages speak, and how they say things.

import { words } from "../i18n/index.js";

const KEY = "cardio-language";
let language = kept() ?? "zh";

function kept() {
  try {
    const found = localStorage.getItem(KEY);
    return found in words ? found : null;
  } catch {
    return null;
  }
}

export const current = () => language;

export function toggle() {
  choose(language === "zh" ? "en" : "zh");
}

/** Takes the language that was chosen at another address, unless one was chosen here. */
export function takeLanguage(chosen) {
  if (chosen in words && !kept()) choose(chosen);
}

function choose(chosen) {
  language = chosen;
  try {
    localStorage.setItem(KEY, language);
  } catch { /* it lasts as long as the page, then */ }
}

/** A word of the page; `{n}` and the like are put in. */
export function say(key, values = {}) {
  const text = words[language][key] ?? key;
  return Object.entries(values).reduce((so, [name, value]) => so.replace(`{${name}}`, () => value), text);
}

/** What the bridge says in two languages: `title` and `title_en`. */
export const pick = (object, key) => (language === "en" && object[`${key}_en`]) || object[key] || "";

/** The words of a code; the code itself where no table knows it. */
export const coded = (value) => (value ? pick(value, "label") || value.code : null);

export const htmlLanguage = () => (language === "zh" ? "zh-CN" : "en");

/** A moment as people at this desk write it. */
export function moment(date, seconds = false) {
  const two = (number) => String(number).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}
