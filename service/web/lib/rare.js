// Rare characters: which can be shown here, and the code points of those that cannot or that look like others.

import { html } from "./html.js";

const FONT = '48px "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", HanaMinA, HanaMinB, '
  + '"SimSun-ExtB", Plangothic, "BabelStone Han", sans-serif';
const SIZE = 72;
const known = new Map();
let canvas = null;

/** Pixels of a character as this computer draws it. */
function drawn(character) {
  canvas ??= Object.assign(document.createElement("canvas"), { width: SIZE, height: SIZE }).getContext("2d", { willReadFrequently: true });
  canvas.clearRect(0, 0, SIZE, SIZE);
  canvas.font = FONT;
  canvas.textBaseline = "middle";
  canvas.fillText(character, 8, SIZE / 2);
  return canvas.getImageData(0, 0, SIZE, SIZE).data;
}

const same = (a, b) => a.every((value, i) => value === b[i]);
/** The frame of a picture: browsers that write the code into the box draw the same box around it. */
const frame = (data) => {
  const rows = [];
  for (let y = 0; y < SIZE; y++) if (data.subarray(y * SIZE * 4, (y + 1) * SIZE * 4).some((value) => value)) rows.push(y);
  return rows.length ? [rows[0], rows.at(-1)].map((y) => data.slice(y * SIZE * 4, (y + 1) * SIZE * 4)) : [];
};

/** Whether this computer has a picture for a character: what no font has (U+50000 is no character) looks the same. */
export function canShow(character) {
  if (!known.has(character)) {
    const missing = drawn(character.codePointAt(0) > 0xffff ? "\u{50000}" : "\u2FE0").slice();
    const picture = drawn(character);
    const boxed = navigator.userAgent.includes("Firefox") && frame(picture).length > 0
      && frame(picture).every((row, i) => same(row, frame(missing)[i] ?? row.map(() => 1)));
    known.set(character, !same(picture, missing) && !boxed);
  }
  return known.get(character);
}

const isPrivate = (point) => (point >= 0xe000 && point <= 0xf8ff) || point >= 0xf0000;
const isHan = (point) => (point >= 0x2e80 && point <= 0x9fff) || (point >= 0xf900 && point <= 0xfaff) || point > 0xffff;
export const codePoint = (character) => `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

/** Whether a clerk needs the code point: the character is private, beyond the first plane, or cannot be drawn here.
    On a computer without any Chinese font every character would be, and naming them all would not help. */
export function needsName(character) {
  const point = character.codePointAt(0);
  if (isPrivate(point) || point > 0xffff) return true;
  return isHan(point) && !canShow(character) && canShow("中");
}

/** Text with the code points of its rare characters beside them. */
export function Text({ value }) {
  const parts = [];
  for (const character of value ?? "") {
    if (needsName(character)) {
      const missing = isPrivate(character.codePointAt(0)) || !canShow(character);
      parts.push(html`<span class=${missing ? "rare missing" : "rare"}>${character}<small class="code-point">(${codePoint(character)})</small></span>`);
    } else if (typeof parts.at(-1) === "string") parts[parts.length - 1] += character;
    else parts.push(character);
  }
  return parts;
}
