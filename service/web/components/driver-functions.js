// The functions of the national driver, with arguments to begin with.

const CARD = "|||||";
const CONTACT_FIRST = { iType: 3 };
const KEY = { pKey: "" };

const DEBITED = "卡识别码|卡号|";
let debitKey = "";

/** A debit of now, by a key of its own. */
const debit = () => {
  debitKey = crypto.randomUUID();
  const now = new Date();
  const time = [now.getFullYear(), now.getMonth() + 1, now.getDate(), now.getHours(), now.getMinutes(), now.getSeconds()];
  const digits = time.map((part) => String(part).padStart(2, "0")).join("");
  return { iType: 3, pCardInfo: DEBITED, pPayInfo: `0.10|0.20|${digits}|`, pin: "", idempotencyKey: debitKey };
};

/** Its second step, by the key of the first. */
const debitKeyed = () => ({ pKey: "", pin: "", idempotencyKey: debitKey });

export const FUNCTIONS = [
  ["iReadCardBas", CONTACT_FIRST],
  ["iReadCardBas_HSM_Step1", CONTACT_FIRST],
  ["iReadCardBas_HSM_Step2", KEY],
  ["iReadCard", { iType: 3, iAuthType: 2, pCardInfo: CARD, pFileAddr: "SSSEEF05|01|07|$" }],
  ["iReadCard_HSM_Step1", { iType: 3, pCardInfo: CARD, pFileAddr: "SSSEEF05|01|07|$" }],
  ["iReadCard_HSM_Step2", KEY],
  ["iReadDebitRecord", CONTACT_FIRST],
  ["iReadICCardNum", CONTACT_FIRST],
  ["iVerifyPIN", { iType: 3, pin: "" }],
  ["iChangePIN", { iType: 3, pin: "", newPin: "" }],
  ["iReloadPIN", { iType: 3, pCardInfo: CARD, newPin: "" }],
  ["iReloadPIN_HSM_Step1", { iType: 3, pCardInfo: CARD }],
  ["iReloadPIN_HSM_Step2", KEY],
  ["iReloadPIN_HSM_Step3", KEY],
  ["iUnblockPIN", { iType: 3, pCardInfo: CARD }],
  ["iUnblockPIN_HSM_Step1", { iType: 3, pCardInfo: CARD }],
  ["iUnblockPIN_HSM_Step2", KEY],
  ["iUnblockPIN_HSM_Step3", KEY],
  ["iWriteCard", { iType: 3, pCardInfo: CARD, pFileAddr: "DF01EF06|", pWriteData: "" }],
  ["iWriteCard_HSM_Step1", { iType: 3, pCardInfo: CARD, pFileAddr: "DF01EF06|" }],
  ["iWriteCard_HSM_Step2", { pKey: "", pWriteData: "" }],
  ["iDoDebit", debit],
  ["iDoDebit_HSM_Step1", debit],
  ["iDoDebit_HSM_Step2", debitKeyed],
];

/** What a function is tried with at first. */
export const argumentsOf = (name) => {
  const [, given] = FUNCTIONS.find(([one]) => one === name);
  return typeof given === "function" ? given() : given;
};
