// The developer's page: readers, software cards, files, the conversation with the card, driver functions, events.

import { connect, problemOf } from "../lib/connection.js";
import { DriverTab } from "../components/driver.js";
import { EventLog } from "../components/event-log.js";
import { FilesTab } from "../components/files.js";
import { html } from "../lib/html.js";
import { t } from "../lib/language.js";
import { Problem } from "../components/problem.js";
import { ReaderList } from "../components/reader-list.js";
import { makePage, Shell } from "../components/page-shell.js";
import { SimulatorPanel } from "../components/simulator.js";
import { Tabs } from "../components/tabs.js";
import { TraceTab } from "../components/trace.js";

const KEPT = 200;
const page = makePage(view, {
  titleKey: "developerTitle", refusal: null, listing: { readers: [], problems: [] }, selected: null, tab: "files",
  isListed: false, events: [], choices: null, scopes: [], actionError: null, exchanges: 0,
});

const selected = () => page.listing.readers.find((info) => info.name === page.selected) ?? null;

async function refresh() {
  try {
    setListing(await page.bridge.readers());
  } catch (error) {
    page.set({ actionError: problemOf(error) });
  }
}

function setListing(listing) {
  page.listing = listing;
  page.isListed = true;
  if (!selected()) page.selected = listing.readers[0]?.name ?? null;
  page.set({ problems: page.refusal ? [page.refusal] : listing.problems });
}

function onEvent(event) {
  page.events = [{ ...event, heard: new Date() }, ...page.events].slice(0, KEPT);
  if (event.type === "cardio.state") setListing(event.data);
  else if (/reader-|card-inserted|card-removed|card-mute|service-|lease-/.test(event.type)) refresh();
  if (event.type === "cardio.read-finished") page.exchanges += 1;
  page.draw();
}

function onState(connection, refusal) {
  page.connection = connection;
  page.refusal = connection === "live" ? null : refusal;
  if (connection !== "live") Object.assign(page, { listing: { readers: [], problems: [] }, isListed: false });
  page.set({ problems: page.refusal ? [page.refusal] : page.listing.problems });
}

async function attempt(work) {
  page.actionError = null;
  try {
    await work(page.bridge);
  } catch (error) {
    page.actionError = problemOf(error);
  }
  page.draw();
}

function view() {
  const info = selected();
  // Another card is another matter: what was shown of the last one goes with it.
  const which = info && `${info.name} ${info.card_session}`;
  const tabs = [
    ["files", html`<${FilesTab} key=${which} bridge=${page.bridge} info=${info} />`],
    ["trace", html`<${TraceTab} key=${which} bridge=${page.bridge} info=${info} tick=${page.exchanges} scopes=${page.scopes} />`],
    ["driver", html`<${DriverTab} bridge=${page.bridge} info=${info} isListed=${page.isListed} />`],
    ["events", html`<${EventLog} events=${page.events} clear=${() => page.set({ events: [] })} />`],
  ];
  return html`
    <${Shell} page=${page} path="/developer" readers=${page.listing.readers}>
      <div class="workbench">
        <div class="side">
          <${ReaderList} listing=${page.listing} live=${page.connection === "live"} selected=${page.selected} choose=${(name) => page.set({ selected: name, actionError: null })} />
          ${page.actionError && html`<${Problem} problem=${page.actionError} level=${2} />`}
          ${info && html`<${SimulatorPanel} key=${info.name} info=${info} choices=${page.choices} attempt=${attempt} wide />`}
        </div>
        <div class="bench">${page.bridge && html`<${Tabs} tabs=${tabs} active=${page.tab} choose=${(tab) => page.set({ tab })} />`}</div>
      </div>
    <//>`;
}

async function onBridge(bridge) {
  page.bridge = bridge;
  page.scopes = (await bridge.me()).scopes;
  page.choices = await bridge.request("/v1/simulator").catch(() => null);
}

page.draw();
connect({ onBridge, onState, onEvent });
