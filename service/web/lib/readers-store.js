// The readers of this desk as the event stream tells of them, and what was read from the cards in them.

import { problemOf } from "./connection.js";

const PATIENCE_MS = 12000;

const empty = (info) => ({ info, reading: null, whole: false, problem: null, busy: false, shown: false, photo: null, leaseEnds: 0 });

export class ReadersStore {
  #bridge = null;
  #reads = false;
  #timers = new Map();
  #draw;
  #onRead;

  /** `draw` is called after every change; `onRead(reader)` when a card has been read whole. */
  constructor(draw, onRead = () => {}) {
    this.#draw = draw;
    this.#onRead = onRead;
    this.readers = new Map();
    this.problems = [];
  }

  /** `reads` tells whether the bridge reads every card by itself, so that the page need not. */
  attach(bridge, { reads }) {
    this.#bridge = bridge;
    this.#reads = reads;
  }

  /** What is shown may no longer be true, and it is a holder's data. */
  clear() {
    for (const name of [...this.readers.keys()]) this.#forget(name);
    this.problems = [];
    this.#draw();
  }

  handle(event) {
    const { data } = event;
    const reader = this.readers.get(data.reader);
    switch (event.type) {
      case "cardio.state": this.#begin(data); break;
      case "cardio.reader-removed": this.#forget(data.reader); break;
      case "cardio.reader-added": this.#put(data, "empty"); break;
      case "cardio.card-removed": this.#put(data, "empty"); break;
      case "cardio.card-inserted": this.#arrived(this.#put(data, "card")); break;
      case "cardio.card-mute": this.#arrived(this.#put(data, "mute")); break;
      case "cardio.card-read": this.#setReading(reader, data, false); break;
      case "cardio.read-finished": this.#finished(reader, data); break;
      case "cardio.service-down":
      case "cardio.service-up": this.#refresh(); break;
      case "cardio.lease-changed": this.#leased(reader, data.lease); break;
    }
    this.#draw();
  }

  #begin({ readers, problems }) {
    this.clear();
    this.problems = problems;
    for (const info of readers) {
      const reader = this.#add(info);
      if (info.counts !== false && (info.status === "card" || info.status === "mute")) this.read(reader);
    }
  }

  #add(info) {
    const reader = empty(info);
    this.#lease(reader, info.lease);
    this.readers.set(info.name, reader);
    return reader;
  }

  #put(data, status) {
    const { reader: name, simulated, atr = null, event_counter = 0, counts = true } = data;
    const card_session = status === "empty" ? null : data.card_session ?? null;
    const lease = this.readers.get(name)?.info.lease ?? null;
    this.#drop(name);
    return this.#add({ name, simulated, status, atr, event_counter, card_session, lease, counts });
  }

  #drop(name) {
    const reader = this.readers.get(name);
    clearTimeout(this.#timers.get(name));
    if (reader?.photo) URL.revokeObjectURL(reader.photo);
    // What others still hold of it holds nothing of the card.
    if (reader) Object.assign(reader, { reading: null, photo: null, shown: false, gone: true });
  }

  #forget(name) {
    this.#drop(name);
    this.readers.delete(name);
  }

  #arrived(reader) {
    if (!reader.info.counts) return; // a SAM's slot, or a reader that the settings leave out
    if (!this.#reads) {
      this.read(reader);
      return;
    }
    reader.busy = true;
    this.#timers.set(reader.info.name, setTimeout(() => this.read(reader), PATIENCE_MS));
  }

  #setReading(reader, { card_session, reading }, whole) {
    if (!reader || !reading || reader.whole || card_session !== reader.info.card_session) return;
    Object.assign(reader, { reading, whole, problem: null, busy: !whole });
    if (whole) this.#onRead(reader);
  }

  #finished(reader, data) {
    if (!reader || data.card_session !== reader.info.card_session || reader.reads) return;
    clearTimeout(this.#timers.get(reader.info.name));
    if (data.outcome === "ok") this.#setReading(reader, data, true);
    else if (data.problem) Object.assign(reader, { problem: data.problem, busy: false });
    // An event that was kept while the card left names the error only: asking once more gives its words.
    else if (reader.busy) this.read(reader);
  }

  async #refresh() {
    const list = await this.#bridge.readers().catch(() => null);
    if (list === null) return;
    this.problems = list.problems;
    for (const info of list.readers) {
      const reader = this.readers.get(info.name);
      if (reader) this.#lease(reader, info.lease);
    }
    this.#draw();
  }

  #leased(reader, lease) {
    if (!reader) return;
    this.#lease(reader, lease);
    // No caller has it now: what could not be read before can be.
    if (!lease && reader.problem?.code === "reader-leased") this.read(reader);
    else if (!lease) reader.freed = true;
  }

  #lease(reader, lease) {
    reader.info = { ...reader.info, lease: lease ?? null };
    reader.leaseEnds = lease ? Date.now() + lease.seconds_left * 1000 : 0;
    if (lease) setTimeout(() => this.#refresh(), lease.seconds_left * 1000 + 500);
  }

  /** `fresh` has the card asked, even if it has been read and has not left since. */
  async read(reader, { fresh = false } = {}) {
    clearTimeout(this.#timers.get(reader.info.name));
    if (reader.photo) URL.revokeObjectURL(reader.photo);
    Object.assign(reader, { reading: null, whole: false, problem: null, photo: null, shown: false, busy: true, reads: true, freed: false });
    this.#draw();
    const ended = (change) => {
      if (reader.gone) return;
      Object.assign(reader, { busy: false, reads: false }, change);
      this.#draw();
    };
    try {
      const { card_session, read_at: _, ...reading } = await this.#bridge.read(reader.info.name, { fresh });
      // Another card's answer belongs to the reader's next state, which its events bring.
      if (reader.info.card_session && card_session && card_session !== reader.info.card_session) return;
      ended({ reading, whole: true });
      if (!reader.gone) this.#onRead(reader);
    } catch (error) {
      const problem = problemOf(error);
      // It was given back while the refusal was on its way.
      if (problem.code === "reader-leased" && reader.freed && !reader.gone) this.read(reader);
      else ended({ problem });
    }
  }

  /** Does something with the card in a reader that may fail; its problem stands at the reader. */
  async attempt(reader, work) {
    try {
      return await work(this.#bridge, { session: reader.info.card_session });
    } catch (error) {
      if (!reader.gone) reader.problem = problemOf(error);
      this.#draw();
      return null;
    }
  }

  /** The problem of a reader has been read. */
  dismiss(reader) {
    reader.problem = null;
    this.#draw();
  }

  async photo(reader) {
    const blob = await this.attempt(reader, (bridge, options) => bridge.photo(reader.info.name, options));
    if (!blob || reader.gone || !reader.shown) return;
    reader.photo = URL.createObjectURL(blob);
    this.#draw();
  }

  show(reader) {
    reader.shown = !reader.shown;
    if (!reader.shown && reader.photo) {
      URL.revokeObjectURL(reader.photo);
      reader.photo = null;
    }
    this.#draw();
  }
}
