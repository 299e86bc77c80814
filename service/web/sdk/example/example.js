// A page of a hospital, as small as can be: find the bridge, pair once, read a card when it is put in.

import { CardioBridge, CardioError } from "../cardio-bridge.js";

const place = (id) => document.getElementById(id);
const port = Number(new URLSearchParams(location.search).get("port") ?? 12340);
let bridge = null;

/** Does something, and shows what to do where it fails. Text goes in as text: a card is data. */
async function attempt(work) {
  place("problem").replaceChildren();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CardioError)) throw error;
    show(error);
  }
}

function show(error) {
  const lines = [error.title, error.remedy, `${error.state} · ${error.code}`];
  place("problem").replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  if (["not-paired", "revoked", "pairing-denied", "pairing-expired"].includes(error.state)) place("pair").hidden = false;
}

function showCard(reading) {
  const rows = reading && [
    ["姓名", reading.holder?.name ?? "未开放"], ["社会保障号码", reading.holder?.social_security_number ?? "未开放"],
    ["卡号", reading.card.card_number ?? "—"], ["有效期至", reading.card.expiry_date ?? "—"],
  ];
  place("card").replaceChildren(...(rows ?? []).flatMap(([term, text]) => [
    Object.assign(document.createElement("dt"), { textContent: term }), Object.assign(document.createElement("dd"), { textContent: text }),
  ]));
}

async function connect() {
  place("status").textContent = "正在查找读卡服务…";
  bridge?.close();
  bridge = await CardioBridge.find({ ports: [port], onPermission: () => { place("status").textContent = "请在浏览器的询问中点“允许”"; } });
  place("connect").hidden = true;
  if (bridge.paired) follow();
  else {
    place("status").textContent = "已找到读卡服务，还没有配对";
    place("pair").hidden = false;
  }
}

async function pair() {
  place("status").textContent = "请在读卡服务的页面上核对配对码并点“允许”";
  try {
    await bridge.pair({ name: "门诊收费（示例）", scopes: ["basic"], onCode: ({ code }) => { place("code").textContent = code; place("code").hidden = false; } });
  } finally {
    place("code").hidden = true;
  }
  follow();
}

function follow() {
  place("pair").hidden = true;
  place("read").hidden = false;
  bridge.subscribe({
    onState: (state, error) => {
      place("status").textContent = { connecting: "正在连接…", live: "已连接，请插卡", lost: "连接中断，正在重连…", ended: "已断开", closed: "已断开" }[state];
      if (state === "lost" || state === "ended") showCard(null);
      if (state === "ended") show(error);
    },
    onEvent: (event) => {
      if (event.type === "cardio.card-removed") showCard(null);
      if (event.type === "cardio.card-inserted") attempt(() => read(event.data.reader));
    },
  });
}

async function read(reader) {
  showCard(null);
  showCard(await bridge.read(reader));
}

place("connect").addEventListener("click", () => attempt(connect));
place("pair").addEventListener("click", () => attempt(pair));
place("read").addEventListener("click", () => attempt(() => read()));
attempt(connect);
