// Reads social security cards from a web page, through the cardio bridge on this computer.
// One file, no dependencies, no build. Copyright the cardio authors, Apache-2.0.

const HELLO_MS = 4000;
const PROMPT_MS = 60000; // a person answers the browser's question
const CALL_MS = 15000;
const WHOLE_CARD_MS = 70000;
const TRUST_MS = 15000; // how long a proof stands for requests; an open stream stands for itself
// What spends a try of the PIN, or changes the card; reading functions do so only with a PIN.
const CHANGES = /^\/v1\/(driver\/(?!iRead)|readers\/[^/]+\/(apdu$|card\/(pin|files)\/))/;
const FINAL = ["revoked", "not-paired", "refused", "aborted"]; // trying again by itself would not help

const COULD_NOT = {
  "not-running": ["没有找到读卡服务", "The card service was not found", "请启动 cardio，然后重试。", "Start cardio, then try again."],
  "not-running/insecure-page": ["没有找到读卡服务", "The card service was not found",
    "请启动 cardio。如已启动，是浏览器禁止 http 网页访问本机：请用 https 打开本页，或请管理员在浏览器策略中允许本页。", "Start cardio. If it runs, the browser keeps http pages away from this computer: open the page by https, or have it allowed by browser policy."],
  "blocked-by-browser/permission-denied": ["浏览器不允许本页访问本机的读卡服务", "The browser keeps this page from the card service",
    "请点地址栏左侧的图标，打开“网站设置”，允许访问本机上的应用，然后重新载入本页。", "Press the icon left of the address, open the site settings, allow access to apps on this device, and reload the page."],
  "blocked-by-browser/permission-prompt": ["浏览器在等您允许访问本机", "The browser waits for your permission",
    "请在浏览器弹出的询问中点“允许”，然后重试。", "Press Allow in the browser's question, then try again."],
  "blocked-by-browser/mixed-content": ["浏览器不允许 https 网页访问本机的读卡服务", "The browser keeps https pages from the card service",
    "请换用 Chrome、Edge 或 Firefox 打开本页。", "Open the page in Chrome, Edge or Firefox."],
  "blocked-by-browser/page-policy": ["网页自己的安全策略不允许访问读卡服务", "The page's own policy forbids the card service",
    "请网页的开发者在 Content-Security-Policy 的 connect-src 中加入读卡服务的地址。", "The page's developer must add the bridge's address to connect-src of its Content-Security-Policy."],
  imposter: ["该端口上的程序不是您的读卡服务", "The program at the port is not your card service",
    "请勿继续，并告知信息科：另一个程序占用了读卡服务的端口。", "Stop, and tell your IT department: another program holds the card service's port."],
  "not-paired": ["本页还没有与读卡服务配对", "This page has not been paired with the card service", "请先配对。", "Pair it first."],
  "pairing-denied": ["配对被拒绝", "The pairing was denied", "如需读卡，请重新配对并在本机确认。", "To read cards, pair again and confirm on this computer."],
  "pairing-expired": ["配对已过时", "The pairing was not confirmed in time", "请重新配对，并在两分钟内确认。", "Pair again and confirm within two minutes."],
  revoked: ["本页的授权已被撤销", "This page's permission has been revoked", "请重新配对。", "Pair again."],
  refused: ["读卡服务拒绝了请求", "The card service refused", "请重试；若仍失败，请联系信息科。", "Try again; if it fails again, call your IT department."],
  "refused/which-reader": ["不止一个读卡器中有卡", "There are cards in several readers", "请只留一张卡，或选择读卡器。", "Leave one card in, or choose the reader."],
  "no-reader": ["没有找到读卡器", "No reader was found", "请检查读卡器的连接线和电源，然后重试。", "Check the reader's cable and power, then try again."],
  "no-card": ["读卡器中没有卡", "There is no card in the reader", "请插入社会保障卡。", "Put a social security card into the reader."],
  "reader-busy": ["读卡器正被占用", "The reader is in use", "请稍候重试。", "Wait a little and try again."],
  "card-changed": ["卡片已被更换", "Another card has been put in", "请确认当前卡片后重新开始。", "Make sure which card is in, and begin again."],
  "card-error": ["卡片读取失败", "The card could not be read", "请重新插卡再试。", "Insert the card again and retry."],
  "service-down": ["读卡服务暂时不能读卡", "The card service cannot read cards now", "请稍候；服务会自动恢复。", "Wait a little; it recovers by itself."],
  timeout: ["读卡服务没有及时应答", "The card service did not answer in time", "请重试。", "Try again."],
  "timeout/outcome-unknown": ["读卡服务没有及时应答，操作结果未知", "The card service did not answer in time: the outcome is not known",
    "请勿直接重做。密码请先查询剩余次数；写卡请先读取核对；消费请以同一编号重试，不会重复扣款。", "Do not just do it again. Of a PIN, see how many tries are left; of a write, read the file; a debit is asked for again by the same key, which never debits twice."],
  "not-running/outcome-unknown": ["与读卡服务的连接中断，操作结果未知", "The line to the card service broke: the outcome is not known",
    "请勿直接重做。启动 cardio 后，密码请先查询剩余次数；写卡请先读取核对；消费请以同一编号重试，不会重复扣款。", "Do not just do it again. Start cardio; of a PIN, see how many tries are left; of a write, read the file; a debit is asked for again by the same key, which never debits twice."],
  aborted: ["操作已取消", "The operation was cancelled", "需要时请重新开始。", "Begin again when you need it."],
};

export const STATES = Object.freeze([...new Set(Object.keys(COULD_NOT).map((key) => key.split("/")[0]))]);

const CODES = {
  "no-reader": ["no-reader", "reader-not-found", "reader-gone"],
  "no-card": ["no-card", "card-removed"],
  "reader-busy": ["reader-busy", "reader-leased", "reader-held", "queue-full", "card-reset"],
  "card-changed": ["card-changed", "session-ended"],
  "card-error": ["card-error", "card-fault", "card-garbled", "card-mute", "card-blocked", "file-unreadable", "forged-card",
    "not-a-social-security-card", "undecodable", "replayed-challenge", "authentication-failed", "key-blocked"],
  "service-down": ["pcsc-unavailable", "pcsc-not-installed", "pcsc-support-missing", "stopping", "reader-error"],
  timeout: ["reader-timeout"],
};
const STATE_OF = new Map(Object.entries(CODES).flatMap(([state, codes]) => codes.map((code) => [code, state])));
const NO_PROBLEM = { code: "", title: "", title_en: "", detail: "", detail_en: "", remedy: "", remedy_en: "", status: 0,
  driver_code: null, sw: null, hresult: null, retryable: false, request_id: null, retry_after: null, lease: null };

/** Why something could not be done: `state` is one of STATES; the words are the bridge's where it gave some. */
export class CardioError extends Error {
  constructor(state, { reason = null, problem = null, cause = null } = {}) {
    const words = COULD_NOT[`${state}/${reason}`] ?? COULD_NOT[state] ?? COULD_NOT.refused;
    super((problem && problem.title_en) || words[1]);
    this.name = "CardioError";
    Object.assign(this, { state, reason, problem, cause }, NO_PROBLEM,
      { code: reason ?? state, title: words[0], title_en: words[1], remedy: words[2], remedy_en: words[3] });
    for (const key of Object.keys(NO_PROBLEM)) if (problem && key in problem) this[key] = problem[key];
    if (this.driver_code !== null) this.driver_code = Number(this.driver_code);
  }
}

// Chrome asks the person before a page reaches this computer, and wants to be told that it does. Browsers that
// know the option by other words refuse to make such a request at all.
let loopback = { targetAddressSpace: "loopback" };
try { new Request("http://127.0.0.1/", loopback); } catch { loopback = {}; }

async function permission() {
  for (const name of ["loopback-network", "local-network-access"]) {
    try { return (await navigator.permissions.query({ name })).state; } catch { /* it does not know the name */ }
  }
  return null;
}

const pause = (milliseconds, signal) => new Promise((resolve, reject) => {
  const stop = () => { clearTimeout(timer); reject(new CardioError("aborted")); };
  const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); resolve(); }, milliseconds);
  if (signal?.aborted) stop();
  else signal?.addEventListener("abort", stop, { once: true });
});

/** One request, its answer taken by `take`; every failure of the transport becomes a CardioError. */
async function exchange(url, init, { signal, timeout = CALL_MS, onPermission, take }) {
  if (signal?.aborted) throw new CardioError("aborted");
  const controller = new AbortController();
  const begun = Date.now();
  let late = false, asked = false, violated = false, timer;
  const stop = () => controller.abort();
  const expire = () => { late = true; stop(); };
  const ask = async () => {
    if (!isSecureContext || (await permission()) !== "prompt" || controller.signal.aborted) return;
    asked = true;
    clearTimeout(timer);
    timer = setTimeout(expire, PROMPT_MS);
    onPermission?.();
  };
  const onViolation = (event) => { violated ||= event.effectiveDirective === "connect-src" && url.startsWith(event.blockedURI); };
  signal?.addEventListener("abort", stop);
  globalThis.document?.addEventListener("securitypolicyviolation", onViolation);
  timer = setTimeout(expire, timeout);
  const question = setTimeout(ask, 1000);
  try {
    const response = await fetch(url, { cache: "no-store", credentials: "omit", redirect: "error", ...loopback, ...init, signal: controller.signal });
    clearTimeout(question);
    return await take(response, () => clearTimeout(timer));
  } catch (cause) {
    if (cause instanceof CardioError) throw cause;
    if (signal?.aborted) throw new CardioError("aborted", { cause });
    if (late && !asked) throw new CardioError("timeout", { cause });
    if (!late) await pause(50); // the browser reports a violation of the page's policy after the failure
    throw await diagnosed(url, { cause, violated, asked: asked && (late || Date.now() - begun > 3000) });
  } finally {
    clearTimeout(timer);
    clearTimeout(question);
    signal?.removeEventListener("abort", stop);
    globalThis.document?.removeEventListener("securitypolicyviolation", onViolation);
  }
}

/** Browsers say no more than "failed": this finds out what stands between the page and the bridge. */
async function diagnosed(url, { cause, violated, asked }) {
  const blocked = (reason) => new CardioError("blocked-by-browser", { reason, cause });
  if (violated) return blocked("page-policy");
  if (asked) return blocked("permission-prompt");
  const state = await permission();
  if (isSecureContext && state === "denied") return blocked("permission-denied");
  const { protocol, origin } = globalThis.location ?? {};
  if (protocol === "https:" && /Apple/.test(navigator.vendor ?? "")) return blocked("mixed-content");
  try {
    // Something answers that does not let pages see its answer: the bridge would.
    const probe = { mode: "no-cors", credentials: "omit", cache: "no-store", ...loopback };
    if (new URL(url).origin !== origin) {
      await fetch(new URL("/v1/hello", url).href, probe);
      return new CardioError("imposter", { cause });
    }
  } catch { /* nothing answers at all */ }
  return new CardioError("not-running", { reason: isSecureContext || state === null ? null : "insecure-page", cause });
}

const bytes = (text) => new TextEncoder().encode(text);
const hex = (array) => Array.from(array, (byte) => byte.toString(16).padStart(2, "0")).join("");

// SHA-256 for pages without a secure context (http:// on an intranet), where browsers keep their own away.
const [INITIAL, ROUND] = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (number) => ((number - Math.floor(number)) * 2 ** 32) | 0;
  return [primes.slice(0, 8).map((prime) => fraction(prime ** (1 / 2))), primes.map((prime) => fraction(Math.cbrt(prime)))];
})();

export function sha256(message) {
  const padded = new Uint8Array(((message.length + 72) >> 6) << 6);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 4, message.length * 8);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  const state = Int32Array.from(INITIAL), w = new Int32Array(64);
  for (let start = 0; start < padded.length; start += 64) {
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const x = w[i - 15], y = w[i - 2];
      w[i] = i < 16 ? view.getInt32(start + i * 4)
        : w[i - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + w[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10));
      const t = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + ROUND[i] + w[i]) | 0;
      const u = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t) | 0, c, b, a, (t + u) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => { state[i] += value; });
  }
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((value, i) => digest.setInt32(i * 4, value));
  return new Uint8Array(digest.buffer);
}

export function hmacSha256(key, message) {
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? sha256(key) : key);
  const joined = (pad, rest) => { const all = new Uint8Array(64 + rest.length); all.set(block.map((byte) => byte ^ pad)); all.set(rest, 64); return all; };
  return sha256(joined(0x5c, sha256(joined(0x36, message))));
}

/** What a bridge that knows the token answers to the nonce, at its port. */
async function proofOf(token, nonce, port) {
  const message = bytes(`cardio-hello|${nonce}|${port}`);
  const subtle = globalThis.crypto.subtle;
  if (!subtle) return hex(hmacSha256(sha256(bytes(token)), message));
  const raw = await subtle.digest("SHA-256", bytes(token));
  const key = await subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return hex(new Uint8Array(await subtle.sign("HMAC", key, message)));
}

const refusalFor = (problem) => new CardioError(STATE_OF.get(problem.code) ?? "refused", { problem });
const refusal = async (response) => refusalFor((await response.json().catch(() => null)) ?? { status: response.status, code: `http-${response.status}` });
const json = async (response) => (response.status === 204 ? null : response.json());
const part = encodeURIComponent;

/** Keeps the page's grant where only pages of its own origin find it. */
export function browserStore(key = "cardio-bridge") {
  let memory = null;
  const kept = (work) => { try { return work(localStorage); } catch { return null; } };
  return {
    get: () => kept((storage) => JSON.parse(storage.getItem(key))) ?? memory,
    set: (grant) => { memory = grant; kept((storage) => (grant ? storage.setItem(key, JSON.stringify(grant)) : storage.removeItem(key))); },
  };
}

export class CardioBridge {
  #store; #token = null; #proven = 0; #live = 0; #closed = new AbortController();

  constructor(address, store = browserStore()) {
    this.#store = store;
    const { port, protocol } = new URL(address);
    Object.assign(this, { address, port: Number(port || (protocol === "https:" ? 443 : 80)), version: null, instance: null, origin: null, grant: null, revoked: false });
  }

  /** Whether the bridge has proved that it knows this page's token. */
  get paired() { return this.#token !== null; }

  /** The bridge on this computer: of several ports the one that knows this page, else the first that is a bridge. */
  static async find({ ports = [12340], host = "127.0.0.1", address, store = browserStore(), ...options } = {}) {
    let unpaired = null, failure = null;
    for (const one of address ? [address] : ports.map((port) => `http://${host}:${port}`)) {
      const bridge = new CardioBridge(one, store);
      try {
        await bridge.#hello(options);
        if (bridge.paired) return bridge;
        unpaired ??= bridge;
      } catch (error) {
        if (error.state === "aborted") throw error;
        if (failure === null || failure.state === "not-running") failure = error;
      }
    }
    if (unpaired) return unpaired;
    throw failure;
  }

  async #hello({ signal, timeout = HELLO_MS, onPermission } = {}) {
    this.#proven = 0;
    const saved = await this.#store.get();
    const nonce = hex(globalThis.crypto.getRandomValues(new Uint8Array(32)));
    const query = saved ? `?nonce=${nonce}&grant=${part(saved.grant)}` : "";
    const hello = await exchange(`${this.address}/v1/hello${query}`, {}, { signal, timeout, onPermission, take: async (response) => {
      const answer = await response.json().catch(() => null);
      if (!response.ok && answer?.code) throw new CardioError("refused", { problem: answer });
      if (!response.ok || answer?.service !== "cardio") throw new CardioError("imposter");
      return answer;
    } });
    // The token goes only to a bridge that has proved that it has it already.
    const unknown = !saved || hello.proof === null;
    if (!unknown && hello.proof !== await proofOf(saved.token, nonce, this.port)) throw new CardioError("imposter");
    const { version, instance, origin } = hello;
    Object.assign(this, { version, instance, origin, grant: unknown ? null : saved.grant, revoked: Boolean(saved) && unknown });
    this.#token = unknown ? null : saved.token;
    this.#proven = Date.now();
  }

  /** Has the bridge prove itself now. Every other method does so by itself when it is time. */
  async prove(options) {
    await this.#hello(options);
    if (!this.paired) throw new CardioError(this.revoked ? "revoked" : "not-paired");
  }

  async #send(path, { method = "GET", body, headers = {}, session, lease, idempotencyKey, signal, timeout, take = json, fresh = false }) {
    if (this.#closed.signal.aborted) throw new CardioError("aborted");
    if (fresh || !this.#proven || (!this.#live && Date.now() - this.#proven > TRUST_MS)) await this.prove({ signal });
    const token = this.#token;
    if (!token) throw new CardioError(this.revoked ? "revoked" : "not-paired");
    const own = { Authorization: `Bearer ${token}`, ...headers };
    if (body !== undefined) own["Content-Type"] = "application/json";
    if (session) own["Cardio-Card-Session"] = session;
    if (lease) own["Cardio-Lease"] = lease.id ?? lease;
    if (idempotencyKey) own["Idempotency-Key"] = idempotencyKey;
    const changes = method !== "GET" && (CHANGES.test(path) || body?.pin !== undefined);
    if (changes) timeout ??= WHOLE_CARD_MS; // the bridge knows sooner what became of it
    try {
      return await exchange(this.address + path, { method, headers: own, body: body && JSON.stringify(body) }, { signal, timeout, take: async (response, begun) => {
        if (response.status === 401) throw this.#lose(token);
        if (!response.ok) throw await refusal(response);
        return take(response, begun);
      } });
    } catch (error) {
      if (error.problem === null) this.#proven = 0; // another program may answer next
      // The bridge was there a moment ago, and it may have done what it was asked.
      if (changes && error.problem === null && ["timeout", "not-running"].includes(error.state)) throw new CardioError(error.state, { reason: "outcome-unknown", cause: error });
      if (error.state !== "not-running" && error.state !== "imposter") throw error;
      // To a page that is let in no more the bridge's answers look like none: only hello tells them apart.
      await this.prove({ signal });
      throw error;
    }
  }

  /** The bridge takes the token no more. */
  #lose(token) {
    if (this.#token === token) Object.assign(this, { revoked: true, grant: null }).#token = null;
    return new CardioError("revoked");
  }

  /** Any route of the bridge, for what has no method here. */
  request(path, options = {}) { return this.#send(path, options); }

  /** Asks for a grant. `onCode` gets the code that the person compares in the bridge's own page. */
  async pair({ name, scopes = ["basic"], onCode, signal } = {}) {
    const take = async (response) => { if (response.ok) return json(response); throw await refusal(response); };
    const body = JSON.stringify({ name: name ?? globalThis.document?.title ?? "", scopes });
    const asked = await exchange(`${this.address}/v1/pairing`, { method: "POST", headers: { "Content-Type": "application/json" }, body }, { signal, take });
    const headers = { Authorization: `Bearer ${asked.secret}` };
    const gone = (error) => { if (error.problem?.code === "no-such-pairing") return { state: "expired" }; throw error; };
    for (let told = false; ; told = true) {
      const answer = await exchange(`${this.address}/v1/pairing/${part(asked.request)}`, { headers }, { signal, take }).catch(gone);
      if (answer.state === "granted") {
        await this.#store.set({ grant: answer.grant, token: answer.token });
        await this.prove({ signal });
        return { grant: answer.grant, scopes: answer.scopes };
      }
      if (answer.state !== "waiting") throw new CardioError(answer.state === "denied" ? "pairing-denied" : "pairing-expired");
      if (!told) onCode?.({ code: asked.code, expires_in: asked.expires_in, confirm: asked.confirm, scopes: asked.scopes });
      await pause(1000, signal);
    }
  }

  /** Forgets this page's grant. The bridge keeps it until a person revokes it there. */
  async forget() {
    this.#token = null;
    await this.#store.set(null);
  }

  me(options) { return this.request("/v1/me", options); }
  status(options) { return this.request("/v1/status", options); }
  readers(options) { return this.request("/v1/readers", options); }

  /** The reader whose card is meant where none is named. Other kinds of cards give way; two of ours are `which-reader`. */
  async chosen(options) {
    try {
      return await this.request("/v1/readers/-/chosen", options);
    } catch (error) {
      if (error.problem?.code !== "several-cards") throw error;
      throw Object.assign(new CardioError("refused", { reason: "which-reader" }), { problem: error.problem });
    }
  }

  async #card(reader, rest, options = {}) {
    return this.#send(`/v1/readers/${part(await this.#reader(reader, options.signal))}/card${rest}`, options);
  }

  /** The reader's name; without one the only reader with a card. With two cards in, guessing could take the wrong person's. */
  async #reader(reader, signal) {
    if (reader) return reader.name ?? reader;
    const { readers, problems } = await this.readers({ signal });
    const counting = readers.filter((one) => one.counts !== false);
    const filled = counting.filter((one) => one.status !== "empty" && one.status !== "unavailable");
    if (filled.length === 1) return filled[0].name;
    if (filled.length) return (await this.chosen({ signal })).reader;
    if (counting.length) throw new CardioError("no-card");
    throw problems.length ? refusalFor(problems[0]) : new CardioError("no-reader");
  }

  /** The card in a reader. The answer carries `card_session`: give it to later calls, and another card is noticed. A card
      that has been read and has not left since is not asked again for a minute, unless `fresh`; `read_at` says when it was. */
  read(reader, { supplement = true, fresh = false, ...options } = {}) {
    const take = async (response) => {
      const { headers } = response;
      return { ...await response.json(), card_session: headers.get("Cardio-Card-Session"), read_at: headers.get("Cardio-Read-At") };
    };
    const query = new URLSearchParams({ ...(supplement ? {} : { supplement }), ...(fresh ? { fresh } : {}) }).toString();
    return this.#card(reader, query && `?${query}`, { take, ...options });
  }

  /** Ready to be sent. Its `proof`, how far the card was proved genuine, is not sent with it. */
  nhsa1101(reader, options) {
    const take = async (response) => {
      const [outcome, reason = null] = (response.headers.get("Cardio-Card-Proof") ?? "").split("; reason=");
      return Object.defineProperty(await response.json(), "proof", { value: outcome ? { outcome, reason } : null });
    };
    return this.#card(reader, "/nhsa-1101", { take, ...options });
  }

  insurance(reader, options) { return this.#card(reader, "/insurance", { timeout: WHOLE_CARD_MS, ...options }); }
  employment(reader, options) { return this.#card(reader, "/employment", { timeout: WHOLE_CARD_MS, ...options }); }
  files(reader, options) { return this.#card(reader, "/files", { timeout: WHOLE_CARD_MS, ...options }); }
  file(reader, file, options) { return this.#card(reader, `/files/${file.split("/").map(part).join("/")}`, { timeout: WHOLE_CARD_MS, ...options }); }
  photo(reader, options) { return this.#card(reader, "/photo", { timeout: WHOLE_CARD_MS, take: (response) => response.blob(), ...options }); }
  verify(reader, { pin, accept_last_try, ...options } = {}) {
    return this.#card(reader, "/verification", { method: "POST", body: { pin, accept_last_try }, timeout: WHOLE_CARD_MS, ...options });
  }

  /** The functions of the national driver that the bridge has: their arguments, scopes, and examples. */
  async driverFunctions(options) { return (await this.request("/v1/driver/functions", options)).functions; }

  /**
   * A function of the national driver. Its return code is a number here, whatever a page may compare it with.
   * A debit needs `idempotencyKey`: keep it, and ask again by it when the answer is lost or `return` is -202 (unknown).
   */
  async driver(name, parameters = {}, options = {}) {
    const answer = await this.request(`/v1/driver/${part(name)}`, { method: "POST", body: parameters, timeout: WHOLE_CARD_MS, ...options });
    return { ...answer, return: Number(answer.return) };
  }

  /** Has the reader to oneself for a while. With `takeOver` its present owner is asked, and may keep it. */
  async lease(reader, { seconds = 60, purpose = "", takeOver = false, signal } = {}) {
    const name = await this.#reader(reader, signal);
    const path = `/v1/readers/${part(name)}/lease`;
    const ask = (take_over) => this.request(path, { method: "POST", body: { seconds, purpose, take_over }, signal });
    for (let asked = 0; ; asked++) {
      const answer = await ask(takeOver && asked < 2); // asked for twice, the owner has kept it: the last try tells who
      if (answer.lease) return { id: answer.lease, reader: name, ...answer, renew: () => this.renew(name, answer.lease), release: () => this.release(name, answer.lease) };
      if (!asked) await pause(answer.answer_within * 1000 + 100, signal);
    }
  }

  renew(reader, lease, options) {
    return this.request(`/v1/readers/${part(reader.name ?? reader)}/lease`, { method: "PUT", body: {}, lease, ...options });
  }

  release(reader, lease, options) { return this.request(`/v1/readers/${part(reader.name ?? reader)}/lease`, { method: "DELETE", lease, ...options }); }

  /** Follows what happens at the readers, for ever: connects again by itself, and goes on where it was. */
  subscribe({ onEvent, onState = () => {}, readings = false, questions = false, after = null, resume = true, transport = "sse", signal } = {}) {
    const controller = new AbortController();
    const subscription = { state: "connecting", error: null, last: after, close: () => controller.abort() };
    const tell = (state, error = null) => {
      if (controller.signal.aborted && state !== "closed") return;
      Object.assign(subscription, { state, error });
      onState(state, error);
    };
    const take = (event) => {
      if (event.type === "cardio.resync") { subscription.last = null; return; }
      subscription.last = event.id;
      try { onEvent(event); } catch (error) { setTimeout(() => { throw error; }); } // the page's mistake ends no stream
    };
    const stop = () => controller.abort();
    signal?.addEventListener("abort", stop, { once: true });
    this.#closed.signal.addEventListener("abort", stop, { once: true });
    if (signal?.aborted || this.#closed.signal.aborted) stop();
    const connect = transport === "websocket" ? this.#socket : this.#stream;
    const follow = async () => {
      for (let wait = 250; !controller.signal.aborted; wait = Math.min(wait * 2, 5000)) {
        let lost = null, on = false;
        const live = () => { wait = 125; on = true; this.#live++; tell("live"); };
        try {
          await connect.call(this, { last: subscription.last, readings, questions, signal: controller.signal, take, live });
        } catch (error) {
          lost = error instanceof CardioError ? error : new CardioError("not-running", { cause: error });
        }
        if (on) this.#live--;
        this.#proven = 0; // who holds the port now must prove itself anew
        if (controller.signal.aborted) break;
        if (!resume) subscription.last = null;
        if (lost && FINAL.includes(lost.state) && ![408, 425, 429].includes(lost.status) && lost.status < 500) { tell("ended", lost); return; }
        tell("lost", lost);
        await pause(wait * (0.75 + Math.random() / 2), controller.signal).catch(() => {});
      }
      tell("closed");
    };
    onState("connecting", null);
    follow().finally(() => signal?.removeEventListener("abort", stop));
    return subscription;
  }

  #stream({ last, readings, questions, signal, take, live }) {
    const query = [readings && "readings=true", questions && "questions=true"].filter(Boolean).join("&");
    return this.#send(`/v1/events${query && `?${query}`}`, { headers: last ? { "Last-Event-ID": last } : {}, signal, fresh: true, take: async (response, begun) => {
      begun();
      live();
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      let buffer = "";
      for (let chunk; !(chunk = await reader.read()).done;) {
        buffer += decoder.decode(chunk.value, { stream: true });
        for (let end; (end = buffer.indexOf("\n\n")) >= 0; buffer = buffer.slice(end + 2)) {
          const data = buffer.slice(0, end).split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
          if (data) take(JSON.parse(data));
        }
      }
    } });
  }

  async #socket({ last, readings, questions, signal, take, live }) {
    const { ticket } = await this.#send("/v1/ws/ticket", { method: "POST", signal, fresh: true });
    const query = new URLSearchParams({ ...(last ? { after: last } : {}), ...(readings ? { readings: "true" } : {}), ...(questions ? { questions: "true" } : {}) });
    const socket = new WebSocket(`${this.address.replace(/^http/, "ws")}/v1/ws?${query}`, ["cardio.v1", `ticket.${ticket}`]);
    const stop = () => socket.close();
    signal.addEventListener("abort", stop);
    await new Promise((resolve) => Object.assign(socket, { onopen: live, onclose: resolve, onmessage: ({ data }) => take(JSON.parse(data)) }));
    signal.removeEventListener("abort", stop);
  }

  /** Ends every subscription. The bridge object is of no use afterwards. */
  close() { this.#closed.abort(); }
}
