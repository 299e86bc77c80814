// Types of cardio-bridge. Names of what the bridge sends are those of its JSON.

/** Why something could not be done. The list is closed. */
export type State =
  | "not-running" | "blocked-by-browser" | "imposter" | "not-paired" | "pairing-denied" | "pairing-expired" | "revoked"
  | "refused" | "no-reader" | "no-card" | "reader-busy" | "card-changed" | "card-error" | "service-down" | "timeout" | "aborted";

export const STATES: readonly State[];

/** More of it, where there is more to say. */
export type Reason =
  | "insecure-page" | "permission-denied" | "permission-prompt" | "mixed-content" | "page-policy" | "which-reader"
  | "outcome-unknown";

export type Scope = "basic" | "files" | "pin" | "write" | "settle" | "apdu";

/** The bridge's own words for an error (RFC 9457). */
export interface Problem {
  type: string;
  code: string;
  title: string;
  title_en: string;
  detail: string;
  detail_en: string;
  remedy: string;
  remedy_en: string;
  status: number;
  driver_code: number | null;
  sw: string | null;
  hresult: string | null;
  retryable: boolean;
  request_id: string | null;
  /** Seconds. */
  retry_after?: number;
  lease?: LeaseInfo;
  /** Of `debit-undelivered`: the previous debit, for its own caller. */
  debit?: string;
}

export interface Words {
  code: string;
  title: string;
  title_en: string;
  remedy: string;
  remedy_en: string;
}

/** Every failure. The words are the bridge's where it gave some, else the module's own; show `title` and `remedy`. */
export class CardioError extends Error implements Words {
  constructor(state: State, more?: { reason?: Reason | null; problem?: Partial<Problem> | null; cause?: unknown });
  readonly name: "CardioError";
  readonly state: State;
  readonly reason: Reason | null;
  /** The bridge's answer; null where the module itself says no. */
  readonly problem: Partial<Problem> | null;
  readonly cause: unknown;
  /** The bridge's code; else the reason or the state. */
  readonly code: string;
  readonly title: string;
  readonly title_en: string;
  readonly detail: string;
  readonly detail_en: string;
  readonly remedy: string;
  readonly remedy_en: string;
  /** HTTP; 0 where there was no answer. */
  readonly status: number;
  /** The national driver's return code, a number. */
  readonly driver_code: number | null;
  readonly sw: string | null;
  readonly hresult: string | null;
  readonly retryable: boolean;
  readonly request_id: string | null;
  readonly retry_after: number | null;
  /** Who has the reader, with `reader-leased`. */
  readonly lease: LeaseInfo | null;
}

export interface Grant {
  grant: string;
  token: string;
}

/** Where the page's grant is kept; whoever reads it can use the bridge as this page. */
export interface Store {
  get(): Grant | null | Promise<Grant | null>;
  set(grant: Grant | null): void | Promise<void>;
}

/** `localStorage` of this origin; memory where the browser gives none. */
export function browserStore(key?: string): Store;

export interface Options {
  signal?: AbortSignal | null;
  /** Milliseconds until `timeout`. */
  timeout?: number;
}

export interface FindOptions extends Options {
  /** Tried one after the other; 12340 without it. */
  ports?: readonly number[];
  /** 127.0.0.1 without it. */
  host?: string;
  /** The whole address, in place of host and ports. */
  address?: string;
  store?: Store;
  /** The browser is asking the person whether the page may reach this computer. */
  onPermission?: () => void;
}

/** For everything that is done with a card. */
export interface CardOptions extends Options {
  /** `card_session` of an earlier answer: with another card in, `card-changed`. */
  session?: string | null;
  lease?: Lease | string | null;
}

export interface PairingCode {
  /** Show it: the person compares it with what the bridge shows. */
  code: string;
  /** Seconds. */
  expires_in: number;
  /** The bridge's own page, where the person confirms. */
  confirm: string;
  scopes: Scope[];
}

export interface PairOptions {
  /** What people call the page; its title without it. */
  name?: string;
  scopes?: readonly Scope[];
  /** Not called where the administrator has listed the page's origin: nobody is asked then. */
  onCode?: (asked: PairingCode) => void;
  signal?: AbortSignal | null;
}

export type ReaderStatus = "empty" | "card" | "mute" | "in-use" | "unavailable";

export interface LeaseInfo {
  owner: string;
  purpose: string;
  seconds_left: number;
}

export interface ReaderInfo {
  name: string;
  simulated: boolean;
  status: ReaderStatus;
  atr: string | null;
  event_counter: number;
  card_session: string | null;
  lease: LeaseInfo | null;
  /** A patient's card may be in it; the slot of a SAM does not count. */
  counts: boolean;
}

/** The reader whose card is meant where none is named. */
export interface ChosenReader {
  reader: string;
  card_session: string | null;
}

export interface ReaderList {
  readers: ReaderInfo[];
  problems: Problem[];
}

/** A reader's name, or what `readers()` told of it; without one, the only reader with a card in it. */
export type ReaderName = string | { name: string } | null;

export interface Coded {
  code: string;
  label: string | null;
  label_en: string | null;
}

export interface Region {
  code: string;
  name: string | null;
}

export interface Unread {
  file: string;
  item: string | null;
  /** What was not read, in words for a clerk; an older bridge does not send it. */
  title?: string;
  title_en?: string;
  reason: string;
  detail: string;
  detail_en: string;
  driver_code: number | null;
  remedy: string;
  remedy_en: string;
  /** The slug of the error that kept it closed, such as `key-already-refused` or `sam-refused`. */
  error?: string | null;
}

export interface Warning {
  code: string;
  item: string | null;
  detail: string;
  detail_en: string;
}

/** How far the card was proved genuine. A card that proves to be none, or declines, is an error. */
export interface Proof {
  outcome: "genuine" | "not-asked" | "not-possible";
  /** Why not: `no-sam`, `setting`, `declined`, `claims-contradict`, or another error's code; null when genuine. */
  reason: string | null;
  detail: string;
  detail_en: string;
  algorithm: string | null;
  sam: "soft" | "psam" | "hsm" | null;
  /** Checked by published test keys: anybody can make such a card. */
  test_keys: boolean;
}

/** Who a card belongs to, with the card's own data. Dates are YYYY-MM-DD. */
export interface CardReading {
  reader: string;
  simulated: boolean;
  card: {
    generation: number;
    algorithm: string | null;
    atr: string;
    historical_bytes: string | null;
    region: Region | null;
    identification_code: string | null;
    card_class: Coded | null;
    spec_version: string | null;
    issuer_number: string | null;
    issue_date: string | null;
    expiry_date: string | null;
    card_number: string | null;
  };
  /** null when the card gives nothing about its holder. */
  holder: {
    social_security_number: string | null;
    name: string | null;
    sex: Coded | null;
    ethnic_group: Coded | null;
    birthplace: Coded | null;
    birth_date: string | null;
    nationality: Coded | null;
    residence: string | null;
    household_registration: string | null;
  } | null;
  derived: { age: number | null; citizen: boolean | null; days_to_expiry: number | null };
  unread: Unread[];
  warnings: Warning[];
  proof: Proof;
}

export interface Item {
  tag: string | null;
  name: string;
  label: string;
  label_en: string;
  value?: Coded | string | number | null;
  unit?: "fen" | "months";
  items?: Item[];
  raw: string;
}

export interface FileContent {
  file: string;
  title: string;
  title_en: string;
  structure: string;
  opened_by: string | null;
  records: { number: number; title: string | null; items: Item[] }[];
  size: number | null;
  content: string | null;
  unread: Unread[];
  warnings: Warning[];
  proof: Proof;
}

export interface CardIdentity {
  generation: number;
  layout: string;
  region: Region | null;
  identification_code: string | null;
}

export interface CardTree {
  reader: string;
  simulated: boolean;
  card: CardIdentity;
  proof: Proof;
  applications: {
    id: string;
    title: string;
    title_en: string;
    aid: string | null;
    files: {
      file: string;
      title: string;
      title_en: string;
      structure: string;
      read: string;
      update: string;
      use: string;
      readable: boolean;
      opened_by: string | null;
      records: number | null;
      size: number | null;
      reason: string | null;
      detail: string | null;
      detail_en: string | null;
    }[];
  }[];
}

export interface Report {
  reader: string;
  simulated: boolean;
  card: CardIdentity;
  proof: Proof;
  sections: Record<string, { title: string; title_en: string; values: (Item & { file: string; record: number; title: string | null })[] }>;
  totals: {
    name: string;
    label: string;
    label_en: string;
    by: Coded | null;
    value: number;
    unit: "fen" | "months" | null;
    records: number;
    file: string;
  }[];
  unread: Unread[];
  warnings: Warning[];
}

/** The input of the national medical insurance transaction 1101, ready to be sent. */
export interface Nhsa1101 {
  mdtrt_cert_type: string;
  mdtrt_cert_no: string;
  card_sn: string;
  begntime: string | null;
  psn_cert_type: string;
  certno: string;
  psn_name: string;
  /** How far the card was proved genuine, as the answer's header says; JSON.stringify leaves it out. */
  readonly proof?: Pick<Proof, "outcome" | "reason"> | null;
}

export interface Verdict {
  reader: string;
  simulated: boolean;
  time: string;
  verdict: "verified" | "not-verified" | "refused";
  title: string;
  title_en: string;
  card: { identification_code: string | null; card_number: string | null; region: Region | null };
  chip: { algorithm: string | null; sam: string | null; test_keys: boolean };
  checks: {
    check:
      | "birth-date" | "card-dates" | "card-number" | "chip-genuine" | "holder-pin" | "id-number" | "identification-code"
      | "identification-code-region" | "loss-list" | "name" | "region-of-id" | "sex";
    title: string;
    title_en: string;
    outcome: "passed" | "failed" | "not-done";
    weight: "required" | "optional" | "ignored";
    detail: string;
    detail_en: string;
    driver_code: number | null;
  }[];
  policy: { name: string; origin: string };
  loss_list: { origin: string; updated: string; age_hours: number; entries: number } | null;
}

export interface DriverFunctionInfo {
  name: string;
  /** Those of the interface, by its own names. */
  arguments: string[];
  /** Those that the interface does not have. */
  optional: string[];
  scope: Scope;
  /** 0: done in one call; else which of several calls with the card held between them. */
  step: number;
  changes_card: boolean;
  /** Arguments to begin with; YYYYMMDDhhmmss stands for the time of the call. */
  example: Record<string, number | string>;
}

export interface DriverResult {
  function: string;
  /** A number. Codes other than 0 come as a CardioError with `driver_code`. */
  return: number;
  pOutInfo: string;
  fields: Record<string, string> | null;
  /** Of debits: how this one stands. `return` is -202 where its outcome is not known: ask again by the same key. */
  debit: Debit | null;
  /** null of debits, whose answer is the same each time. */
  proof: Proof | null;
}

export interface Debit {
  id: string;
  state:
    | "new" | "prepared" | "initialised" | "armed" | "sent" | "committed" | "delivered" | "settled"
    | "aborted" | "unknown" | "manual";
  /** done: money was taken, once; none: nothing was; unknown: nobody can tell yet. */
  outcome: "done" | "none" | "unknown";
  origin: string;
  idempotency_key: string;
  created: string;
  changed: string;
  /** When its result was handed over to its caller, which was still connected. */
  handed_over: string | null;
  /** When its caller came back for the result, or said that it has it; or a person did. */
  acknowledged: string | null;
  /** It is done, and its result was not delivered: the next debit on this card is refused (`debit-undelivered`). */
  undelivered: boolean;
  reason: string;
  /** In fen. */
  self_paid_amount: number | null;
  pooled_fund_amount: number | null;
  time: string | null;
  terminal_number: string | null;
  transaction_number: number | null;
  /** What the card's own record said before it was debited: `clear`, or why it could not be asked; null: it was not queried. */
  card_record: "clear" | "no-file" | "closed" | "unreadable" | "not-kept" | null;
  /** Of what a person has decided: what the card said of it when it was back. */
  compared: "agrees" | "contradicts" | "not-told" | null;
  result: {
    transaction_number: number;
    terminal_number: string;
    terminal_transaction_number: string;
    time: string;
    personal_account_amount: number;
    self_paid_amount: number;
    pooled_fund_amount: number;
    tac: string | null;
    mac2: string | null;
    known_by: "mac2" | "card" | "proof" | "detail" | "counter" | "person";
  } | null;
  /** When the card's balances and totals, and the key in clear, were left out. */
  thinned: string | null;
  /** Its record was changed from outside, and nothing in it is believed. */
  tampered: boolean;
}

export interface SamState {
  state: "none" | "unknown" | "up" | "down";
  place: string | null;
}

export interface Status {
  version: string;
  instance: string;
  uptime_seconds: number;
  /** off where PC/SC is left out. */
  pcsc: "up" | "down" | "off";
  psam: SamState;
  hsm: SamState;
  /** The port of each dialect; null where it does not listen. */
  dialects: { json: number | null; decard: number | null; [name: string]: number | null };
  /** Dialects that are switched on and whose port another program has. */
  dialect_problems: { name: string; port: number; problem: Problem }[];
  simulated: boolean;
  auto_read: boolean;
  /** `failing`: the audit log cannot be written at present. */
  audit: "on" | "off" | "failing";
  /** SAMs that are stopped, since card after card has refused a key of theirs. */
  sams_stopped: { place: string; key: string; cards: number; proved: boolean; since: string; problem: Problem }[];
  /** Why no key is presented at present; null is well. */
  keys_problem: Problem | null;
  /** Background tasks that have failed since the start. */
  tasks: { task: string; failures: number; error: string; place: string; time: string; down: boolean }[];
}

export interface Me {
  grant: string;
  origin: string;
  name: string;
  scopes: Scope[];
}

export interface LeaseGiven {
  lease: string;
  owner: string;
  seconds_left: number;
}

export interface Lease extends LeaseGiven {
  id: string;
  reader: string;
  /** For as long again. */
  renew(): Promise<LeaseGiven>;
  release(): Promise<null>;
}

export interface LeaseOptions {
  /** At most 300; 60 without it. */
  seconds?: number;
  /** Shown to others who want the reader. */
  purpose?: string;
  /** Ask whoever has it to give way; it may say no. */
  takeOver?: boolean;
  signal?: AbortSignal | null;
}

interface Envelope<Type extends string, Data> {
  specversion: "1.0";
  /** Give it to `subscribe({ after })` to go on from here. */
  id: string;
  source: string;
  type: `cardio.${Type}`;
  /** The reader, where it is about one. */
  subject?: string;
  time: string;
  datacontenttype: "application/json";
  sequence: string;
  data: Data;
}

interface AtReader {
  /** As in `ReaderInfo`. */
  counts: boolean;
  reader: string;
  simulated: boolean;
  atr: string | null;
  event_counter: number | null;
}

export type CardioEvent =
  | Envelope<"state", ReaderList>
  | Envelope<"reader-added" | "reader-removed", AtReader>
  | Envelope<"card-inserted" | "card-removed" | "card-mute", AtReader & { card_session: string | null }>
  | Envelope<"card-read", { reader: string; card_session: string | null; reading: CardReading | null }>
  | Envelope<"read-finished", { reader: string; card_session: string | null; outcome: string; milliseconds: number; reading: CardReading | null }>
  | Envelope<"lease-asked", { reader: string; by: string; purpose: string; answer_within: number }>
  | Envelope<"lease-changed", { reader: string; lease: LeaseInfo | null }>
  | Envelope<"question-asked", { question: string; kind: "last-try" | "pin"; wants: ("pin" | "new_pin")[]; reader: string; card_session: string | null; caller: string; function: string; seconds_left: number }>
  | Envelope<"question-answered", { question: string; kind: "last-try" | "pin"; reader: string; outcome: "yes" | "no" | "card-gone" | "caller-gone" | "timed-out" | "stopped" }>
  | Envelope<"sam-up" | "sam-down", { kind: "psam" | "hsm"; place: string | null }>
  | Envelope<"service-up" | "service-down", Record<string, unknown>>;

/** `lost`: it tries again by itself. `ended`: it does not, since it would be of no use. */
export type SubscriptionState = "connecting" | "live" | "lost" | "ended" | "closed";

export interface SubscribeOptions {
  onEvent: (event: CardioEvent) => void;
  onState?: (state: SubscriptionState, error: CardioError | null) => void;
  /** With what was read from the cards. */
  readings?: boolean;
  /** This page shows questions to a clerk: for the bridge's own pages only. */
  questions?: boolean;
  /** The id of the last event that is known; without it, it begins with `state`. */
  after?: string | null;
  /** false: after a break begin with `state` in place of what was missed. */
  resume?: boolean;
  transport?: "sse" | "websocket";
  signal?: AbortSignal | null;
}

export interface Subscription {
  readonly state: SubscriptionState;
  readonly error: CardioError | null;
  readonly last: string | null;
  close(): void;
}

export interface RequestOptions extends CardOptions {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  headers?: Record<string, string>;
  take?: (response: Response) => unknown;
}

export class CardioBridge {
  constructor(address: string, store?: Store);
  /** The bridge on this computer: of several ports the one that knows this page, else the first that is a bridge. */
  static find(options?: FindOptions): Promise<CardioBridge>;

  readonly address: string;
  readonly port: number;
  readonly version: string | null;
  readonly instance: string | null;
  /** This page as the bridge sees it. */
  readonly origin: { origin: string | null; paired: boolean } | null;
  readonly grant: string | null;
  /** The bridge has proved that it knows this page's token. */
  readonly paired: boolean;
  /** The page had been paired with this bridge, and is no longer. */
  readonly revoked: boolean;

  prove(options?: Options & { onPermission?: () => void }): Promise<void>;
  pair(options?: PairOptions): Promise<{ grant: string; scopes: Scope[] }>;
  forget(): Promise<void>;
  close(): void;

  me(options?: Options): Promise<Me>;
  status(options?: Options): Promise<Status>;
  readers(options?: Options): Promise<ReaderList>;
  chosen(options?: Options): Promise<ChosenReader>;

  read(reader?: ReaderName, options?: CardOptions & { supplement?: boolean; fresh?: boolean }): Promise<CardReading & { card_session: string | null; read_at: string | null }>;
  nhsa1101(reader?: ReaderName, options?: CardOptions): Promise<Nhsa1101>;
  insurance(reader?: ReaderName, options?: CardOptions): Promise<Report>;
  employment(reader?: ReaderName, options?: CardOptions): Promise<Report>;
  files(reader?: ReaderName, options?: CardOptions): Promise<CardTree>;
  /** `file` as in `DF01/EF06`. */
  file(reader: ReaderName | undefined, file: string, options?: CardOptions): Promise<FileContent>;
  photo(reader?: ReaderName, options?: CardOptions): Promise<Blob>;
  verify(reader?: ReaderName, options?: CardOptions & { pin?: string; accept_last_try?: boolean }): Promise<Verdict>;
  driverFunctions(options?: Options): Promise<DriverFunctionInfo[]>;
  driver(
    name: string,
    parameters?: Record<string, unknown>,
    options?: CardOptions & { idempotencyKey?: string },
  ): Promise<DriverResult>;

  lease(reader?: ReaderName, options?: LeaseOptions): Promise<Lease>;
  renew(reader: string | { name: string }, lease: Lease | string, options?: Options): Promise<LeaseGiven>;
  release(reader: string | { name: string }, lease: Lease | string, options?: Options): Promise<null>;

  subscribe(options: SubscribeOptions): Subscription;

  /** Any route of the bridge, for what has no method here. */
  request<Answer = any>(path: string, options?: RequestOptions): Promise<Answer>;
}

export function sha256(message: Uint8Array): Uint8Array;
export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array;
