// Problems of the page itself, in the shape of the bridge's.

import { words } from "../i18n/index.js";

/** Args: its code, and what its words in `words` begin with. */
export const ownProblem = (code, key) => ({
  code, detail: "", detail_en: "",
  title: words.zh[`${key}Title`], title_en: words.en[`${key}Title`],
  remedy: words.zh[`${key}Remedy`], remedy_en: words.en[`${key}Remedy`],
});
