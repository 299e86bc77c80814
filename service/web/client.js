// Talks to the bridge: requests with the token, and the event stream (fetch, since EventSource takes no headers).

const KEY = "cardio-token";

/** The token from the link's fragment, which is taken off the address at once; else the one of this tab. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem(KEY);
}

/** An answer of the bridge that says no: `problem` is its RFC 9457 object. */
export class Refusal extends Error {
  constructor(problem) {
    super(problem.code);
    this.problem = problem;
  }
}

export class Client {
  constructor(token) {
    this.token = token;
  }

  async request(path, { method = "GET", body, headers = {}, signal } = {}) {
    const response = await fetch(path, {
      method, signal, cache: "no-store",
      headers: { Authorization: `Bearer ${this.token}`, ...(body ? { "Content-Type": "application/json" } : {}), ...headers },
      body: body ? JSON.stringify(body) : undefined,
    });
    if (!response.ok) throw new Refusal(await response.json());
    return response;
  }

  async json(path, options) {
    const response = await this.request(path, options);
    return response.status === 204 ? null : response.json();
  }

  /** Follows the event stream for ever; `onEvent(kind, data)`, `onState("live" | "lost" | "refused")`. */
  async follow(onEvent, onState) {
    let last = null;
    let pause = 250;
    for (;;) {
      try {
        const response = await this.request("/v1/events", { headers: last ? { "Last-Event-ID": last } : {} });
        onState("live");
        pause = 250;
        for await (const event of frames(response.body)) {
          if (event.id) last = event.id;
          if (event.kind === "resync") last = null;
          else onEvent(event.kind, event.data);
        }
      } catch (error) {
        if (error instanceof Refusal && error.problem.status < 500) {
          onState("refused", error.problem);
          return;
        }
      }
      // Who hears of this forgets what it knew, and so begins with the state of all readers.
      last = null;
      onState("lost");
      await new Promise((resume) => setTimeout(resume, pause));
      pause = Math.min(pause * 2, 5000);
    }
  }
}

/** Server-Sent Events out of a byte stream. */
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
      const frame = { id: null, kind: "message", data: null };
      for (const line of buffer.slice(0, end).split("\n")) {
        if (line.startsWith("id:")) frame.id = line.slice(3).trim();
        else if (line.startsWith("event:")) frame.kind = line.slice(6).trim();
        else if (line.startsWith("data:")) frame.data = JSON.parse(line.slice(5));
      }
      if (frame.data !== null) yield frame;
    }
  }
}
