// What the clerk is asked for a call that waits: consent to the last try of a PIN, or the PIN where there is no key pad.

import { problemOf } from "../lib/connection.js";
import { html, useEffect, useRef, useState } from "../lib/html.js";
import { Icon } from "./icons.js";
import { t } from "../lib/language.js";
import { Problem } from "./problem.js";

const UNREADY_MS = 600;

/** The open questions. `onAsked` is called for each new one. */
export class Questions {
  #bridge = null;
  #attaching = false;
  #missed = false;
  #mayAnswer = false;
  #draw;
  #onAsked;

  constructor(draw, onAsked) {
    this.#draw = draw;
    this.#onAsked = onAsked;
    this.open = [];
  }

  /** Asks the bridge what is open: for what was asked before this page was. */
  async attach(bridge) {
    this.#bridge = bridge;
    this.#attaching = true;
    let listed;
    do {
      this.#missed = false;
      listed = await bridge.request("/v1/questions").catch(() => null);
    } while (this.#missed && listed);
    this.#attaching = false;
    this.#mayAnswer = listed !== null; // a page that was let in for less is no place to answer
    this.clear();
    listed?.questions.forEach((one) => this.#add(one));
  }

  clear() {
    this.open = [];
    this.#draw();
  }

  handle({ type, data }) {
    const asked = type === "cardio.question-asked";
    if (!asked && type !== "cardio.question-answered") return;
    if (this.#attaching) this.#missed = true;
    else if (!asked) this.#remove(data.question);
    else if (this.#mayAnswer) this.#add(data);
  }

  #add(question) {
    if (this.open.some((one) => one.question === question.question)) return;
    this.open = [...this.open, { ...question, ends: Date.now() + question.seconds_left * 1000 }];
    this.#onAsked(question);
    this.#draw();
  }

  #remove(id) {
    this.open = this.open.filter((one) => one.question !== id);
    this.#draw();
  }

  /** Sends the answer; gives the problem where it was not taken. */
  async answer(question, body) {
    try {
      await this.#bridge.request(`/v1/questions/${encodeURIComponent(question.question)}/answer`, { method: "POST", body });
    } catch (error) {
      if (error.code !== "question-gone") return problemOf(error);
    }
    this.#remove(question.question);
    return null;
  }
}

const who = (question) => (question.caller === "local" ? t("kind_local") : question.caller);
const key = (question) => (question.kind === "last-try" ? "askLastTry" : question.wants.includes("new_pin") ? "askNewPin" : "askPin");
export const titleOf = (question) => t(`${key(question)}Title`);

function SecondsLeft({ ends }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const every = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(every);
  }, []);
  return html`<span class="left">${t("askLeft", { n: Math.max(0, Math.ceil((ends - Date.now()) / 1000)) })}</span>`;
}

/** A field for digits; what is typed stays in it, and goes when the question does. */
const PinField = ({ id, label }) => html`
  <div class="pin-field">
    <label for=${id}>${label}</label>
    <input id=${id} type="password" inputmode="numeric" autocomplete="off" maxlength="16" />
  </div>`;

function QuestionCard({ question, questions }) {
  const heading = useRef(null);
  const [problem, setProblem] = useState(null);
  const [sending, setSending] = useState(false);
  const [ready, setReady] = useState(question.kind !== "last-try");
  const id = `question-${question.question}`;
  // A person who types keeps the focus; otherwise it moves here.
  useEffect(() => { if (document.activeElement === document.body) heading.current?.focus(); }, []);
  // A press that was meant for what stood here before is no consent.
  useEffect(() => { const timer = setTimeout(() => setReady(true), UNREADY_MS); return () => clearTimeout(timer); }, []);

  async function send(body) {
    setSending(true);
    const refused = await questions.answer(question, body);
    setSending(false);
    setProblem(refused);
  }
  function submit(event) {
    event.preventDefault();
    const entered = Object.fromEntries([...event.target.querySelectorAll("input")].map((input) => [input.id.slice(id.length + 1), input.value]));
    send({ answer: "yes", ...entered });
  }
  const no = () => send({ answer: "no" });
  const fields = [
    question.wants.includes("pin") && ["pin", t(question.wants.includes("new_pin") ? "askPresent" : "askPinField")],
    question.wants.includes("new_pin") && ["new_pin", t("askNew")],
    question.wants.includes("new_pin") && ["new_pin_again", t("askAgain")],
  ].filter(Boolean);
  return html`
    <form class="question" aria-labelledby=${id} data-question=${question.kind} onsubmit=${submit}>
      <h2 id=${id} tabindex="-1" ref=${heading}><${Icon} name="warning" />${titleOf(question)}</h2>
      <p>${t(`${key(question)}Text`)}</p>
      <p class="asker">${t("askedBy", { who: who(question), reader: question.reader })}</p>
      ${fields.map(([name, label]) => html`<${PinField} key=${name} id="${id}-${name}" label=${label} />`)}
      ${problem && html`<${Problem} problem=${problem} level=${3} />`}
      <div class="actions">
        <button type="submit" class=${question.kind === "last-try" ? "danger main" : "main"} disabled=${sending || !ready}>${t(question.kind === "last-try" ? "askLastTryYes" : "askEnter")}</button>
        <button type="button" disabled=${sending} onclick=${no}>${t(question.kind === "last-try" ? "askLastTryNo" : "cancel")}</button>
        <${SecondsLeft} ends=${question.ends} />
      </div>
    </form>`;
}

export const QuestionCards = ({ questions }) => html`
  <div class="questions">${questions.open.map((one) => html`<${QuestionCard} key=${one.question} question=${one} questions=${questions} />`)}</div>`;
