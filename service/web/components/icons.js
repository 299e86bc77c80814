// Small pictures, drawn with the colour of the text around them. They say nothing that words do not say too.

import { html } from "../lib/html.js";

const PATHS = {
  copy: "M8 8V4h12v12h-4M4 8h12v12H4z",
  done: "M4 12l6 6L20 6",
  eye: "M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zm10-3a3 3 0 100 6 3 3 0 000-6z",
  hide: "M3 3l18 18M10 5.3A10 10 0 0112 5c6 0 10 7 10 7a17 17 0 01-3.2 3.9M6 6.8A17 17 0 002 12s4 7 10 7a10 10 0 004-.9",
  again: "M20 12a8 8 0 11-2.3-5.6M20 3v4h-4",
  print: "M7 9V3h10v6M7 18H4V9h16v9h-3M7 14h10v7H7z",
  photo: "M4 4h16v16H4zM8 10.5a1.5 1.5 0 100-3 1.5 1.5 0 000 3zM4 17l5-5 4 4 3-3 4 4",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  warning: "M12 3L2 21h20zM12 10v5M12 18h.01",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 017 0v3",
};

export const Icon = ({ name }) => html`
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${PATHS[name]} /></svg>`;

/** A card on its way into a reader, or out of it. */
export const CardPicture = ({ way = "in" }) => html`
  <svg class="card-picture ${way}" viewBox="0 0 240 170" aria-hidden="true" focusable="false">
    <rect class="slot" x="42" y="108" width="156" height="9" rx="4.5" />
    <g class="card">
      <rect class="face" x="56" y="10" width="128" height="84" rx="10" />
      <rect class="line" x="72" y="26" width="56" height="7" rx="3.5" />
      <rect class="line" x="72" y="40" width="36" height="7" rx="3.5" />
      <rect class="chip" x="104" y="58" width="32" height="25" rx="5" />
      <path class="contacts" d="M104 70.5h10M126 70.5h10M120 58v8M120 75v8" />
    </g>
    <rect class="reader" x="20" y="112" width="200" height="50" rx="12" />
    <path class="arrow" d=${way === "in" ? "M206 30v44m-11-12l11 12 11-12" : "M206 74V30m-11 12l11-12 11 12"} />
  </svg>`;
