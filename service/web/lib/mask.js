// What is shown of a value while its holder is masked. It is cut before it reaches the page.

const STAR = "＊";

/** A value with all but its ends hidden; with no ends it does not even tell its length. */
export function mask(text, first = 1, last = 0) {
  if (first + last === 0) return STAR + STAR;
  const characters = [...text];
  return characters.map((c, i) => (i < first || i >= characters.length - last ? c : STAR)).join("");
}

/** A name with its middle hidden, for a screen that others see: 王＊明, 王＊. */
export function maskMiddle(name) {
  const characters = [...name];
  return mask(name, 1, characters.length > 2 ? 1 : 0);
}
