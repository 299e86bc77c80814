// The way of the bridge's own pages to their bridge: the owner's token, the event stream, and what to say without them.

import { CardioBridge } from "../sdk/cardio-bridge.js";
import { words } from "../words.js";

const KEY = "cardio-token";
const AGAIN_MS = 1000;

/** The token from the link's fragment, which is taken off the address at once; else the one of this tab. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY);
}

/** A problem of the page itself, in the shape of the bridge's. */
export const ownProblem = (code, key) => ({
  code, detail: "", detail_en: "",
  title: words.zh[`${key}Title`], title_en: words.en[`${key}Title`],
  remedy: words.zh[`${key}Remedy`], remedy_en: words.en[`${key}Remedy`],
});

/** The words for an error: those of an unreachable bridge are of this desk, not of a page from elsewhere. */
export function problemOf(error) {
  if (error.state === "not-running") return ownProblem("not-running", "offline");
  if (error.state === "revoked" || error.state === "imposter") return ownProblem(error.state, "wrongToken");
  return error;
}

/** Finds the bridge and follows it for ever.
    `onBridge` gets it when it has proved itself; `onState` gets connecting, live, lost and refused. */
export async function connect({ onBridge = () => {}, onEvent, onState, readings = false, questions = false }) {
  const token = takeToken();
  if (!token) {
    onState("refused", ownProblem("no-token", "noToken"));
    return;
  }
  const store = { get: () => ({ grant: "local", token }), set() {} };
  for (;;) {
    try {
      const bridge = await CardioBridge.find({ address: location.origin, store });
      if (!bridge.paired) throw Object.assign(new Error("revoked"), { state: "revoked" });
      await onBridge(bridge);
      let lost = false;
      bridge.subscribe({
        readings, questions, resume: false, onEvent,
        onState: (state, error) => {
          // A bridge that was started anew may have other settings.
          if (state === "live" && lost) Promise.resolve(onBridge(bridge)).catch(() => {});
          lost ||= state === "lost";
          onState(state === "ended" ? "refused" : state, error && problemOf(error));
        },
      });
      return;
    } catch (error) {
      const final = error.state !== "not-running" && error.state !== "timeout" && error.state !== "service-down";
      onState(final ? "refused" : "lost", problemOf(error));
      if (final) return;
      await new Promise((resume) => setTimeout(resume, AGAIN_MS));
    }
  }
}
