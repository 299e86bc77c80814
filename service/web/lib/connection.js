// The way of the bridge's own pages to their bridge: the link, the session, the event stream, and what to say without them.

import { CardioBridge } from "../sdk/cardio-bridge.js";
import { ownProblem } from "./own-problem.js";
import { consumeLink, currentSession, earlierSession, followBridge, forgetSession, keepPages, onSessionElsewhere, refuseStrangeKeeper, spendLink } from "./session.js";

const AGAIN_MS = 1000;
const LOOK_MS = 5000;
const pause = (milliseconds = AGAIN_MS) => new Promise((resume) => setTimeout(resume, milliseconds));

/** The words for an error: those of an unreachable bridge are of this desk, not of a page from elsewhere. */
export function problemOf(error) {
  if (error.state === "not-running") return ownProblem("not-running", "offline");
  if (error.state === "revoked") return ownProblem("revoked", "noToken");
  if (error.state === "imposter") return ownProblem("imposter", "imposter");
  return error;
}

const isTransient = ({ state, status }) => ["not-running", "timeout", "service-down"].includes(state) || status === 429 || status >= 500;

/** Finds the bridge and follows it for ever.
    `onBridge` gets it when it has proved itself; `onState` gets connecting, live, lost and refused. A link that is
    pasted into the page, and a session that another tab gets, are taken at any time. */
export function connect({ onBridge = () => {}, onEvent, onState, readings = false, questions = false }) {
  let following = false, proved = false;

  /** `last` is a session that has just ended. */
  async function follow(refusal, last = null) {
    if (following) return;
    following = true;
    for (let session; (session = currentSession());) {
      last = session;
      try {
        if (await begin(session)) return;
        forgetSession(session);
        refusal ??= ownProblem("revoked", "noToken");
      } catch (error) {
        onState(isTransient(error) ? "lost" : "refused", problemOf(error));
        if (!isTransient(error) && error.state !== "imposter") { // the stranger may go, and the bridge come back
          following = false;
          return;
        }
        await pause();
      }
    }
    last ??= earlierSession();
    refusal ??= ownProblem("no-token", "noToken");
    if (last?.recall) lookForBridge(last, refusal);
    else {
      following = false;
      onState("refused", refusal);
    }
  }

  /** A bridge that is started anew has its pages elsewhere: no other tab can tell this one. `last` is a session of an
      earlier run, by which the bridge proves that it is the same. */
  async function lookForBridge(last, refusal) {
    for (let found; (found = await followBridge(last)) !== "moves";) {
      following = false;
      if (currentSession()) return;
      onState("refused", found === "stranger" ? ownProblem("imposter", "imposter") : refusal);
      await pause(LOOK_MS);
      if (following) return; // another tab has got a session here meanwhile
    }
  }

  /** Whether the bridge knows the session; then it is followed until it ends. */
  async function begin(session) {
    const bridge = await CardioBridge.find({ address: location.origin, store: { get: () => session, set() {} } });
    if (!bridge.paired) return false;
    proved = true;
    if (await keepPages(session)) return true;
    try {
      await onBridge(bridge);
    } catch (error) {
      if (error.state === "revoked") return false;
      throw error;
    }
    let lost = false, live = false;
    bridge.subscribe({
      // Of event streams a browser opens six to a server, for all its tabs; of sockets more than the bridge takes.
      readings, questions, resume: false, onEvent, transport: "websocket",
      onState: (state, error) => {
        if (state === "ended") {
          end(session, error);
          return;
        }
        // A bridge that was away may have other settings.
        if (state === "live" && lost) Promise.resolve(onBridge(bridge)).catch(() => {});
        lost ||= state === "lost";
        // A browser does not tell why a socket was refused: the bridge, which answers, takes no more of them.
        const refused = state === "lost" && !error && !live;
        live = state === "live";
        onState(state, refused ? ownProblem("too-many-sockets", "tooManyTabs") : error && problemOf(error));
      },
    });
    return true;
  }

  function end(session, error) {
    following = false;
    if (error?.state !== "revoked") {
      onState("refused", error && problemOf(error));
      return;
    }
    onState("lost", null); // what is shown may no longer be true, whatever comes next
    forgetSession(session);
    follow(problemOf(error), session);
  }

  /** Goes through the link in the address, if there is one, and then in by the session. */
  async function arrive(link) {
    for (let waiting = link; waiting;) {
      try {
        await spendLink(waiting);
        waiting = null;
      } catch (error) {
        const problem = error.problem ?? problemOf(error.state ? error : { state: "not-running" });
        if (error.state === "imposter") {
          // The bridge may come back, and a page that follows it already has its own state.
          if (!following) onState("refused", problem);
          await pause();
          continue;
        }
        if (error.problem && !isTransient(error.problem)) {
          // A page that has a session goes on with it; the others say why the link counts no more.
          follow(problem.code === "no-token" ? ownProblem("no-token", "noToken") : problem);
          return;
        }
        onState("lost", problem);
        await pause();
      }
    }
    follow();
  }

  refuseStrangeKeeper(() => proved);
  addEventListener("hashchange", () => {
    const link = consumeLink();
    if (link) arrive(link);
  });
  onSessionElsewhere(() => follow());
  arrive(consumeLink());
}
