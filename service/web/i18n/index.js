// Every word of the pages, Chinese first. A test holds the two languages to the same keys.

import * as common from "./common.js";
import * as counter from "./counter.js";
import * as developer from "./developer.js";
import * as kiosk from "./kiosk.js";
import * as pair from "./pair.js";

const parts = [common, counter, kiosk, developer, pair];

export const words = {
  zh: Object.assign({}, ...parts.map((part) => part.zh)),
  en: Object.assign({}, ...parts.map((part) => part.en)),
};
