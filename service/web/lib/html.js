// The one place that knows which library draws the pages.

import htm from "../vendor/htm.js";
import { Fragment, h, render } from "../vendor/preact.js";

export { Fragment, render };
export { useEffect, useLayoutEffect, useRef, useState } from "../vendor/hooks.js";
export const html = htm.bind(h);
