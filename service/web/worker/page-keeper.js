// Serves the bridge's own pages from what the bridge gave, never from another program that has the bridge's port now.
// The bridge puts `const KEPT = { headers, files }` before this text; `files` has a type and a text for each path.
/* global KEPT */

const kept = ({ type, text }) => new Response(text, { headers: { ...KEPT.headers, "content-type": type } });

/** What the port answers to an address that is no page of the bridge: it may be shown, its scripts do not run. */
async function inert(url) {
  // With credentials an answer could have the browser forget this worker (Clear-Site-Data).
  const answer = await fetch(url, { credentials: "omit", redirect: "error", cache: "no-store" });
  const type = answer.headers.get("content-type") ?? "text/plain";
  return new Response(answer.body, { status: answer.status, headers: { "content-type": type, "content-security-policy": "sandbox; default-src 'none'" } });
}

addEventListener("install", () => skipWaiting());
addEventListener("fetch", (event) => {
  const { request } = event, { origin, pathname } = new URL(request.url);
  if (origin !== location.origin) return;
  const file = Object.hasOwn(KEPT.files, pathname) ? KEPT.files[pathname] : null;
  // A form of any site can send the browser here by POST: a page of the bridge is shown, and the form goes nowhere.
  if (request.mode === "navigate" && request.method !== "GET") event.respondWith(kept(file ?? KEPT.files["/"]));
  else if (request.method !== "GET") return;
  else if (file) event.respondWith(kept(file));
  else if (request.mode === "navigate") event.respondWith(inert(request.url));
});

/** Shows the kept pages in every other window of this address. */
async function takeOver(asker) {
  await clients.claim();
  const others = (await clients.matchAll({ type: "window" })).filter(({ id }) => id !== asker);
  await Promise.allSettled(others.map((other) => other.navigate(other.url.split("#")[0])));
}

addEventListener("message", ({ data, source, ports: [port] }) => {
  if (data === "alone") takeOver(source.id).then(() => port.postMessage(data));
});
