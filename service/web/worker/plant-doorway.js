// Has the browser keep the doorway at this address, and goes on to the pages. It stands alone: the page that has it holds
// its hash, and nothing else that comes over the network is run.

const PATIENCE_MS = 6000;
const { grant, recall, keeper, digest, pages, language } = JSON.parse(document.querySelector("meta[name=doorway]").content);
const toHex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** The worker, once it answers for this address. */
const activated = ({ active, installing, waiting }) => new Promise((resolve) => {
  const worker = installing ?? waiting ?? active;
  const look = () => { if (worker.state === "activated") resolve(worker); };
  worker.addEventListener("statechange", look);
  look();
});

/** Other windows at this address may be another program's: the worker shows the doorway there before this one has a key. */
const alone = (worker) => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = resolve;
  worker.postMessage("alone", [port2]);
});

async function plant() {
  // `register` takes what the browser's cache has, which is what was fetched just now.
  const script = await fetch(keeper, { cache: "reload", credentials: "same-origin", redirect: "error" });
  if (toHex(await crypto.subtle.digest("SHA-256", await script.arrayBuffer())) !== digest) return false;
  await alone(await activated(await navigator.serviceWorker.register(keeper, { updateViaCache: "all" })));
  localStorage.setItem("cardio-doorway", JSON.stringify({ grant, recall }));
  if (language && !localStorage.getItem("cardio-language")) localStorage.setItem("cardio-language", language);
  return true;
}

const patience = new Promise((resume) => setTimeout(resume, PATIENCE_MS, false));
// Without a doorway this address leads on as long as the bridge is there.
const planted = await Promise.race([plant().catch(() => false), patience]);
location.replace(pages + location.pathname + location.search + (planted ? `#doorway=${location.hostname}` : ""));
