// The token of the bridge's own pages in this browser: changed for a link's ticket, shared by tabs, dead with the bridge's run.

import { CardioBridge, CardioError, hmacSha256, sha256 } from "../sdk/cardio-bridge.js";
import { adoptLanguage } from "./language.js";
import { ownProblem } from "./own-problem.js";

const toBytes = (text) => new TextEncoder().encode(text);
const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const fromHex = (text) => Uint8Array.from(text.match(/../g), (digits) => Number.parseInt(digits, 16));

const KEEPER_DIGITS = 16; // of the hash in its address
const ANSWER_MS = 5000; // a program that has the port may never answer

// A kiosk stands in a public place: its token reads cards and no more, and no other page takes it.
const IS_KIOSK = location.pathname === "/kiosk";
const KEYS = IS_KIOSK ? ["cardio-kiosk-session", "cardio-session"] : ["cardio-session"];
let unstored = null; // where the browser keeps nothing, the session is this page's alone

const stored = (work) => { try { return work(localStorage); } catch { return null; } };
const read = (key) => { const found = stored((storage) => JSON.parse(storage.getItem(key))); return found?.grant && found.token ? found : null; };

/** The session that this page may use: its own, or the one that another tab of this browser got. */
export const currentSession = () => KEYS.map(read).find(Boolean) ?? unstored;

function keep(session) {
  unstored = stored((storage) => { storage.setItem(KEYS[0], JSON.stringify(session)); return true; }) ? null : session;
}

const DOORWAY = "cardio-doorway-at-"; // and a host's name: this browser keeps a doorway there
const EARLIER = `${KEYS[0]}-earlier`;

/** A session of an earlier run, by which a page finds out where its bridge is now: it counts for nothing else. */
export const earlierSession = () => stored((storage) => JSON.parse(storage.getItem(EARLIER)));

/** What `plant-doorway.js` has kept: by it the bridge proves to the doorway that it is the same. */
export const storedDoorway = () => stored((storage) => JSON.parse(storage.getItem("cardio-doorway")));

/** The bridge does not know this session any more. One that another tab has got meanwhile stays. */
export function forgetSession({ grant, token, recall }) {
  if (recall) stored((storage) => storage.setItem(EARLIER, JSON.stringify({ grant, recall })));
  for (const key of KEYS) if (read(key)?.token === token) stored((storage) => storage.removeItem(key));
  if (unstored?.token === token) unstored = null;
}

/** Tells when another tab of this browser has got a session. */
export const onSessionElsewhere = (notify) => addEventListener("storage", ({ key, newValue }) => { if (KEYS.includes(key) && newValue) notify(); });

/** The ticket that a link brings in the address. It is taken off the address and out of the tab's history at once, and so
    is a permanent token, which has no place there: it is not used. */
export function consumeLink() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [ticket, token, doorway] = ["ticket", "token", "doorway"].map((name) => fragment.get(name));
  if (doorway) stored((storage) => storage.setItem(DOORWAY + doorway, "kept"));
  if (ticket || token || doorway) history.replaceState(null, "", location.pathname + location.search);
  return ticket ? { ticket } : null;
}

async function post(path, body, token) {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", redirect: "error", signal: AbortSignal.timeout(ANSWER_MS) });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.code), { problem: answer });
  return answer;
}

/** The name by which the bridge finds a ticket that it did not see yet. */
const nameOf = (ticket) => `link-${toHex(sha256(toBytes(toHex(sha256(toBytes(ticket)))))).slice(0, 32)}`;

/** Spends a link for a session. The ticket goes only to a bridge that has proved that it made it.
    Throws an error with `problem` where the bridge refuses or does not know the link, and another where it does not
    answer, or where what answers is no bridge. */
export async function spendLink({ ticket }) {
  const link = { grant: nameOf(ticket), token: ticket };
  const bridge = await CardioBridge.find({ address: location.origin, store: { get: () => link, set() {} } });
  if (!bridge.paired) throw Object.assign(new Error("no-token"), { problem: ownProblem("link-used", "linkUsed") });
  const nonce = toHex(crypto.getRandomValues(new Uint8Array(32)));
  const answer = await post("/v1/pages/session", { ticket, nonce }, currentSession()?.token);
  // The browser may have asked over a connection that was left from another program: the answer has its own proof.
  const message = ["cardio-hello", nonce, bridge.port, answer.grant, answer.token ?? "", answer.keeper, answer.recall, ...answer.left].join("|");
  if (answer.proof !== toHex(hmacSha256(sha256(toBytes(ticket)), toBytes(message)))) throw new CardioError("imposter");
  const session = answer.token ? answer : currentSession();
  if (session) keep({ grant: session.grant, token: session.token, keeper: answer.keeper, recall: answer.recall });
  if (!IS_KIOSK) adoptLanguage(answer.language);
  // A doorway that the browser came through in this run is the bridge's, and stays.
  const isDoorway = (origin) => stored((storage) => storage.getItem(DOORWAY + new URL(origin).hostname));
  if (answer.token) answer.left.filter((origin) => !isDoorway(origin)).forEach(forget);
}

/** Has the bridge keep the language for its next run, whose pages have another address and find nothing here. */
export function keepLanguage(language) {
  const session = currentSession();
  if (!session || IS_KIOSK) return; // there each holder chooses
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${session.token}` };
  fetch("/v1/pages/language", { method: "PUT", headers, body: JSON.stringify({ language }), credentials: "omit", redirect: "error" }).catch(() => {});
}

/** Has the browser forget what another program, or a run before this one, left in it at an address of the bridge. */
function forget(origin) {
  // A browser heeds Clear-Site-Data only with credentials.
  fetch(`${origin}/v1/pages/forget`, { credentials: "include", cache: "no-store", redirect: "error" }).catch(() => {});
}

/** Whether an origin is one that a run of this bridge can have: the loopback block, at the same port. */
const isOwnPlace = (origin) => new RegExp(`^http://127(\\.\\d{1,3}){3}:${location.port}$`).test(origin);

/** Asks where the pages are in this run of the bridge, and goes there if it proves to be the one that gave the session.
    Gives `moves` where the page is about to be another, `stays` where it is the bridge and this is the place for now,
    `stranger` where what answers is not that bridge, and `silent` where nothing can be told. */
export async function followBridge({ grant, recall }, fragment = "") {
  const nonce = toHex(crypto.getRandomValues(new Uint8Array(32)));
  try {
    const { origin, proof } = await post("/v1/pages/moved", { grant, nonce });
    const message = `cardio-moved|${nonce}|${location.port}|${origin}`;
    if (proof !== toHex(hmacSha256(fromHex(recall), toBytes(message)))) return "stranger";
    if (origin === location.origin || !isOwnPlace(origin)) return "stays";
    location.replace(origin + location.pathname + location.search + fragment);
    return "moves";
  } catch (error) {
    return error instanceof SyntaxError || error.problem?.status === 404 ? "stranger" : "silent";
  }
}

/** Has the browser serve the bridge's pages by itself from now on, those of the bridge that has just proved itself.
    Gives true where the page is of another version, and is loaded anew. */
export async function keepPages({ keeper }) {
  const workers = navigator.serviceWorker;
  if (!keeper || !workers || unstored) return false; // not over a network's plain http, not in every private window
  try {
    const { controller } = workers;
    if (controller && controller.scriptURL !== new URL(keeper, location.href).href) {
      // Put in its place, the new one would have to wait until the old one is idle.
      const gone = await forgetKeeper();
      if (gone) location.reload();
      return gone;
    }
    // `register` takes what the browser's cache has, which is what was fetched just now.
    const script = await fetch(keeper, { cache: "reload", credentials: "same-origin", redirect: "error" });
    const hash = toHex(sha256(new Uint8Array(await script.arrayBuffer())));
    if (keeper.endsWith(`?${hash.slice(0, KEEPER_DIGITS)}`)) await workers.register(keeper, { updateViaCache: "all" });
  } catch { /* the pages come from the port, as before */ }
  return false;
}

/** Ends the keeping. Gives true where the browser keeps no page of this address any more. */
export async function forgetKeeper() {
  const registrations = await navigator.serviceWorker.getRegistrations();
  return (await Promise.all(registrations.map((one) => one.unregister()))).every(Boolean);
}

/** Ends the keeping where the browser finds another worker at the port before the bridge has proved itself: browsers
    look for one once a day, whatever they were told. A program that has the port then gets no worker into this browser.
    Args: whether the bridge has proved itself. */
export async function refuseStrangeKeeper(isProved) {
  const registration = await navigator.serviceWorker?.getRegistration().catch(() => null);
  registration?.addEventListener("updatefound", () => { if (!isProved()) registration.unregister(); });
}
