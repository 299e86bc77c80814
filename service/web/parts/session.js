// The token of the bridge's own pages in this browser: changed for a link's ticket, shared by tabs, dead with the bridge's run.

// A kiosk stands where anybody can reach it: its token reads cards and no more, and no other page takes it.
const KEYS = location.pathname === "/kiosk" ? ["cardio-kiosk-session", "cardio-session"] : ["cardio-session"];
let unstored = null; // where the browser keeps nothing, the session is this page's alone

const stored = (work) => { try { return work(localStorage); } catch { return null; } };
const read = (key) => { const found = stored((storage) => JSON.parse(storage.getItem(key))); return found?.grant && found.token ? found : null; };

/** The session that this page may use: its own, or the one that another tab of this browser got. */
export const heldSession = () => KEYS.map(read).find(Boolean) ?? unstored;

function keep(session) {
  unstored = stored((storage) => { storage.setItem(KEYS[0], JSON.stringify(session)); return true; }) ? null : session;
}

/** The bridge does not know this session any more. One that another tab has got meanwhile stays. */
export function forgetSession({ token }) {
  for (const key of KEYS) if (read(key)?.token === token) stored((storage) => storage.removeItem(key));
  if (unstored?.token === token) unstored = null;
}

/** Tells when another tab of this browser has got a session. */
export const onSessionElsewhere = (tell) => addEventListener("storage", ({ key, newValue }) => { if (KEYS.includes(key) && newValue) tell(); });

/** The ticket that a link brings in the address. It is taken off the address and out of the tab's history at once, and so
    is a permanent token, which has no place there: it is not used. */
export function takeLink() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [ticket, token] = [fragment.get("ticket"), fragment.get("token")];
  if (ticket || token) history.replaceState(null, "", location.pathname + location.search);
  return ticket ? { ticket } : null;
}

async function post(path, body, token) {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit", redirect: "error" });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.code), { problem: answer });
  return answer;
}

/** Spends a link for a session.
    Throws an error with `problem` where the bridge refuses, and another where it does not answer. */
export async function spendLink({ ticket }) {
  const answer = await post("/v1/pages/session", { ticket }, heldSession()?.token);
  if (answer.token) keep({ grant: answer.grant, token: answer.token });
}
