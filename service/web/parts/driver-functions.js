// The functions of the national driver, with arguments to begin with.

const CARD = "|||||";
const CONTACT_FIRST = { iType: 3 };
const KEY = { pKey: "" };

export const FUNCTIONS = [
  ["iReadCardBas", CONTACT_FIRST],
  ["iReadCardBas_HSM_Step1", CONTACT_FIRST],
  ["iReadCardBas_HSM_Step2", KEY],
  ["iReadCard", { iType: 3, iAuthType: 2, pCardInfo: CARD, pFileAddr: "SSSEEF05|01|07|$" }],
  ["iReadCard_HSM_Step1", { iType: 3, pCardInfo: CARD, pFileAddr: "SSSEEF05|01|07|$" }],
  ["iReadCard_HSM_Step2", KEY],
  ["iReadDebitRecord", CONTACT_FIRST],
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
  ["iDoDebit", { iType: 3, pCardInfo: CARD, pPayInfo: "" }],
];
