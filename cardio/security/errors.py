"""The errors of keys and PINs: each with its cause, the next action, and its cost.

::

    CardioError
    ├── ConfigurationError
    │   ├── TestKeysError               test-keys                    use the real keys
    │   └── PolicyError                 policy                       mend the policy or loss list it names
    ├── SamError                        (where keys live; nothing was sent to the card)
    │   ├── NoSamError                  no-sam                       put the PSAM in, or name an HSM
    │   ├── AlgorithmNotSupportedError  algorithm-not-supported      another PSAM, or the HSM
    │   ├── KeyNotInSamError            key-not-in-sam               another PSAM, or the HSM
    │   ├── PsamKeyLevelError           psam-key-level               a PSAM of the right level, or the HSM
    │   ├── TerminalNumberMissingError  no-terminal-number           set terminal_number, or use a PSAM card
    │   ├── NoCardFactorError           no-card-factor               another reader, then the issuing authority
    │   │   └── ContactSlotNeededError  contact-slot-needed          put the card into the contact slot
    │   ├── SamFailedError              sam-failed                   put the PSAM in again
    │   ├── SamRefusedError             sam-refused                  have its keys checked, then resume it
    │   ├── KeyMemoryError              key-memory                   make the folder writable
    │   ├── HsmUnreachableError         hsm-unreachable              mend the line to the HSM
    │   └── HsmAnswerError              hsm-answer                   tell who runs the HSM
    ├── HsmNotNeededError               hsm-not-needed               read without the HSM
    ├── StepError                       step-order                   begin again with step 1
    ├── PinEntryError                   (no try is spent)
    │   ├── PinFormatError              pin-format                   enter it again
    │   ├── PinEntryCancelledError      pin-entry-cancelled          enter it when the holder is ready
    │   ├── PinEntryTimeoutError        pin-entry-timeout            enter it within the time
    │   ├── PinEntryMismatchError       pin-entry-mismatch           enter the new one twice alike
    │   ├── PinQuotaError               pin-quota                    wait
    │   ├── LastTryError                last-try                     ask the holder, then try again with consent
    │   ├── PinAlreadyWrongError        pin-already-wrong            another PIN
    │   └── NoPinPadError               no-pin-pad                   another way to enter it
    └── CardError
        ├── ForgedCardError             forged-card                  keep the card's holder, call the issuer
        ├── ReplayedChallengeError      replayed-challenge           keep the card away, call the issuer
        ├── CardRefusedError
        │   └── ProofDeclinedError      proof-declined               insert it again, then call the issuer
        ├── ClaimsContradictError       claims-contradict            keep the card away, call the issuer
        ├── ProofRequiredError          proof-required               another card, or the keys to prove it with
        ├── AuthenticationFailedError   authentication-failed        another PSAM or HSM
        ├── KeyAlreadyRefusedError      key-already-refused          have the PSAM's or HSM's keys checked
        ├── KeyBlockedError             key-blocked                  the issuing authority
        ├── WrongPinError               wrong-pin                    enter it again, while tries are left
        ├── PinBlockedError             pin-blocked                  have it unblocked
        ├── PinOutcomeUnknownError      pin-outcome-unknown          look how many tries are left
        ├── MacRefusedError             mac-refused                  try again
        ├── WriteOutcomeUnknownError    write-outcome-unknown        read the file
        └── SessionEndedError           session-ended                begin again
"""

from __future__ import annotations

from typing import Any

from cardio.errors import CardError, CardioError, CardRefusedError, ConfigurationError


class TestKeysError(ConfigurationError):
    __test__ = False  # not a test, whatever pytest thinks of the name
    code = "test-keys"
    title = "测试密钥不能用于真实读卡器"
    title_en = "Test keys are not for real readers"
    remedy = "请换用正式密钥；仅在实验室可在 security.toml 中设置 laboratory = true。"
    remedy_en = "Use the real keys; in a laboratory, and only there, set laboratory = true in security.toml."


class PolicyError(ConfigurationError):
    code = "policy"
    title = "核验策略或挂失名单有误"
    title_en = "The verification policy or the loss list is wrong"
    remedy = "请按提示修改该文件。"
    remedy_en = "Fix the file at the place that is named here."


class SamError(CardioError):
    """An error of the keys' side: nothing has been sent to the card, and no try is spent."""

    code = "sam-error"
    title = "密钥设备不能完成运算"
    title_en = "The key device cannot compute"
    remedy = "请检查 PSAM 卡或加密机后重试。"
    remedy_en = "Check the PSAM card or the HSM, then try again."
    status = 503
    exit_status = 69

    @property
    def calls_for_hsm(self) -> bool:
        """Return True if a caller of the national interface continues with the HSM functions."""
        return self.driver_code in (-2201, -2202, -2203, -27272, -24)


class NoSamError(SamError):
    code = "no-sam"
    title = "没有 PSAM 卡，也没有加密机"
    title_en = "There is neither a PSAM card nor an HSM"
    remedy = "请插入 PSAM 卡，或配置加密机。"
    remedy_en = "Put the PSAM card in, or configure the HSM."
    driver_code = -2201


class AlgorithmNotSupportedError(SamError):
    code = "algorithm-not-supported"
    title = "PSAM 卡不支持卡片所用的算法"
    title_en = "The PSAM card does not support the card's algorithm"
    remedy = "请改用支持该算法的 PSAM 卡，或使用加密机。"
    remedy_en = "Use a PSAM card that supports the algorithm, or the HSM."
    driver_code = -2202


class KeyNotInSamError(SamError):
    code = "key-not-in-sam"
    title = "PSAM 卡或加密机中没有所需密钥"
    title_en = "The PSAM card or HSM does not hold the key"
    remedy = "请改用装有该密钥的 PSAM 卡，或使用加密机。"
    remedy_en = "Use a PSAM card that holds the key, or the HSM."
    driver_code = -27272


class PsamKeyLevelError(SamError):
    code = "psam-key-level"
    title = "PSAM 卡密钥级别不够"
    title_en = "The PSAM card's key is of too low a level"
    remedy = "请使用加密机，或向发卡机构申请相应级别的 PSAM 卡。"
    remedy_en = "Use the HSM, or ask the issuing authority for a PSAM card of the right level."
    driver_code = -24


class TerminalNumberMissingError(SamError):
    code = "no-terminal-number"
    title = "没有终端机编号，不能消费"
    title_en = "A debit needs a terminal number, and none is set"
    remedy = "请在 security.toml 或密钥文件中设置 terminal_number，或使用 PSAM 卡。"
    remedy_en = "Set terminal_number in security.toml or the key file, or use a PSAM card."


class NoCardFactorError(SamError):
    """An error for an ATR without the data that diversifies the card's keys: no key was computed, none was
    presented.
    """

    code = "no-card-factor"
    title = "卡片的复位信息不能用于认证"
    title_en = "The card's reset information gives no factor for its keys"
    remedy = "请换一台接触式读卡器重试；若仍如此，请持卡人携卡到社保卡服务网点检测。"
    remedy_en = (
        "Try another reader with a contact slot. If it fails there too, have the issuing authority check the card."
    )
    status = 422
    exit_status = 1
    driver_code = -1


class ContactSlotNeededError(NoCardFactorError):
    """An error for a contactless card: it has no ATR, and the one that the reader shows says nothing about its keys."""

    code = "contact-slot-needed"
    title = "非接触方式不能认证这张卡"
    title_en = "This card cannot be authenticated without contacts"
    remedy = "请改为插入接触式卡槽后重新操作；这不说明卡片有问题。"
    remedy_en = "Put the card into the contact slot and begin again; this does not mean that the card is faulty."


class SamFailedError(SamError):
    code = "sam-failed"
    title = "PSAM 卡故障"
    title_en = "The PSAM card failed"
    remedy = "请重新插入 PSAM 卡后重试；若仍失败，请联系信息科。"
    remedy_en = "Put the PSAM card in again and retry; if it fails again, call your IT department."
    retryable = True
    driver_code = -11


class SamRefusedError(SamError):
    """An error after several cards in a row have refused a key of this SAM: it presents no key to any card any more."""

    code = "sam-refused"
    title = "多张卡片连续拒绝了密钥，已停止使用该密钥设备"
    title_en = "Several cards in a row refused the keys: this key device is not used any more"
    remedy = (
        "卡片没有问题。请信息科核对 PSAM 卡、加密机或密钥文件及 security.toml 的 [psam] 设置，更换或更正后自动恢复；"
        "确认密钥无误时，在读卡台页面上恢复，或运行 cardio keys resume。"
    )
    remedy_en = (
        "The cards are good. Have your IT department check the PSAM card, the HSM or the key file, and [psam] in"
        " security.toml; after a change the device is used again. If the keys are right, resume on the counter's page,"
        " or run `cardio keys resume`."
    )
    driver_code = -11


class KeyMemoryError(SamError):
    """An error while noting a card's answer to a key: no key is presented, since later a refusal would not be known."""

    code = "key-memory"
    title = "无法记录卡片对密钥的应答，未使用密钥"
    title_en = "The cards' answers to keys cannot be saved: no key was presented"
    remedy = (
        "请让 HOME（或 XDG_CACHE_HOME）指向可写且有空间的目录；提示文件已损坏、权限或属主不对时，请移走该文件后重试。"
    )
    remedy_en = (
        "HOME (or XDG_CACHE_HOME) must be a writable folder with free space. If the message says that the file is"
        " damaged, or has wrong permissions or another owner, move the file away and try again."
    )
    driver_code = -11


class HsmUnreachableError(SamError):
    code = "hsm-unreachable"
    title = "加密机没有应答"
    title_en = "The HSM does not answer"
    remedy = "请检查到加密机的网络后重试；卡片和密码次数未受影响。"
    remedy_en = "Check the network to the HSM and try again. No try of the card was used."
    status = 504
    retryable = True
    driver_code = -11


class HsmAnswerError(SamError):
    code = "hsm-answer"
    title = "加密机的应答不正确"
    title_en = "The HSM's answer is wrong"
    remedy = "请联系加密机的管理方；其应答未被使用。"
    remedy_en = "Call the operator of the HSM. Its answer was not used."
    status = 502
    driver_code = -15


class StepError(CardioError):
    code = "step-order"
    title = "步骤顺序不正确"
    title_en = "The steps are out of order"
    remedy = "请从第一步重新开始。"
    remedy_en = "Begin again with step 1."
    status = 409
    driver_code = -14


class HsmNotNeededError(CardioError):
    code = "hsm-not-needed"
    title = "不需要加密机认证"
    title_en = "The HSM is not needed"
    remedy = "该文件无需认证，请直接读取。"
    remedy_en = "The file is open: read it without the HSM."
    status = 409
    driver_code = -2204


class PinEntryError(CardioError):
    """An error before anything was sent to the card: no try is spent."""

    code = "pin-entry"
    title = "密码未录入"
    title_en = "No PIN was entered"
    remedy = "请重新录入密码。"
    remedy_en = "Enter the PIN again."
    status = 422


class PinFormatError(PinEntryError):
    code = "pin-format"
    title = "密码格式不正确"
    title_en = "The PIN has a wrong format"
    remedy = "请输入 4 至 16 位数字。"
    remedy_en = "Enter four to sixteen digits."
    driver_code = -33


class PinEntryCancelledError(PinEntryError):
    code = "pin-entry-cancelled"
    title = "持卡人取消了密码输入"
    title_en = "The holder cancelled the PIN entry"
    remedy = "请持卡人准备好后重新输入。"
    remedy_en = "Let the holder enter it again when ready."
    driver_code = -31


class PinEntryTimeoutError(PinEntryError):
    code = "pin-entry-timeout"
    title = "密码输入超时"
    title_en = "The PIN was not entered in time"
    remedy = "请在提示后及时输入密码。"
    remedy_en = "Enter the PIN soon after the prompt."
    status = 408
    driver_code = -32


class PinEntryMismatchError(PinEntryError):
    code = "pin-entry-mismatch"
    title = "两次输入的密码不一致"
    title_en = "The two new PINs differ"
    remedy = "请重新输入新密码，两次须一致。"
    remedy_en = "Enter the new PIN again, the same both times."
    driver_code = -34


class PinQuotaError(PinEntryError):
    code = "pin-quota"
    title = "密码错误过多，暂停密码功能"
    title_en = "Too many wrong PINs: the PIN is suspended"
    remedy = "请 15 分钟后再试；若非本人操作，请联系信息科。"
    remedy_en = "Try again in fifteen minutes; if this was not you, call your IT department."
    status = 429
    driver_code = -51


class LastTryError(PinEntryError):
    code = "last-try"
    title = "密码只剩最后一次机会，未发送给卡片"
    title_en = "Only the last try of the PIN is left, or the number is unknown: nothing was sent"
    remedy = "请先请持卡人确认密码；持卡人明确同意使用最后一次后，再重试。"
    remedy_en = "Ask the holder to check the PIN. Try again after the holder has agreed to use the last try."
    status = 409
    driver_code = -51


class PinAlreadyWrongError(PinEntryError):
    code = "pin-already-wrong"
    title = "该密码刚被卡片拒绝，未再次发送"
    title_en = "The card has just refused this PIN: it was not sent again"
    remedy = "请持卡人输入另一个密码。"
    remedy_en = "Let the holder enter another PIN."
    driver_code = -51


class NoPinPadError(PinEntryError):
    code = "no-pin-pad"
    title = "读卡器没有密码键盘"
    title_en = "The reader has no PIN pad"
    remedy = "请改用其他方式录入密码。"
    remedy_en = "Enter the PIN in another way."
    driver_code = -13


class ForgedCardError(CardError):
    code = "forged-card"
    title = "芯片真伪核验未通过，疑似伪卡"
    title_en = "Internal authentication failed: the card may be forged"
    remedy = "请勿使用该卡，核对持卡人身份并联系发卡机构。"
    remedy_en = "Do not use this card. Check the holder's identity and call the issuing authority."
    status = 422
    driver_code = -21

    @classmethod
    def one_of_many(cls, cards: int, place: str) -> ForgedCardError:
        """Return the error for several different cards in a row that one SAM has found forged: the SAM may be at fault.

        Args:
            cards: the number of cards.
            place: the name of the SAM.
        """
        error = cls(
            f"{place}：连续 {cards} 张卡片真伪核验（内部认证）未通过，可能是密钥设备的密钥不对",
            f"{place}: {cards} cards in a row have failed, so that its keys may be wrong, and not the cards",
        )
        error.title = "连续多张卡片真伪核验未通过"
        error.title_en = "Several cards in a row failed internal authentication"
        error.remedy = (
            "暂不受理，也不要认定卡片是假卡：请信息科先核对 PSAM 卡、加密机或密钥文件及 security.toml 的 [psam] 设置。"
            "核对无误的，请核对持卡人身份并联系发卡机构。"
        )
        error.remedy_en = (
            "Do not accept the card for now, and do not call it forged. First have your IT department check the "
            "PSAM card, the HSM or the key file, and [psam] in security.toml. If they are right, check the holder's "
            "identity and call the issuing authority."
        )
        return error


class ProofDeclinedError(CardRefusedError):
    """An error for a card without proof although its generation has it; ``status_word`` is its answer, if it
    gave one.
    """

    code = "proof-declined"
    title = "卡片拒绝真伪核验（内部认证）"
    title_en = "The card declines internal authentication: it does not prove that it is genuine"
    remedy = "请擦净芯片后重新插卡再试；若仍如此，请勿使用该卡，核对持卡人身份并联系发卡机构。"
    remedy_en = (
        "Clean the chip and insert the card again. If it still declines, do not use it; check the holder's identity "
        "and call the issuing authority."
    )
    status = 422
    driver_code = -21

    def __init__(self, detail: str = "", detail_en: str = "", *, status_word: int | None = None) -> None:
        CardError.__init__(self, detail, detail_en, status_word=status_word)


class ClaimsContradictError(CardError):
    """An error for a card whose version and algorithm fit no generation, so that no answer of it proves much."""

    code = "claims-contradict"
    title = "卡内记载的规范版本与算法不一致，不能核验真伪"
    title_en = "The card's version and algorithm do not fit together: it cannot be proved genuine"
    remedy = "请核对持卡人的身份证件，并联系发卡机构检查卡片。"
    remedy_en = "Check the holder's identity document, and have the issuing authority check the card."
    status = 422
    driver_code = -21


class ProofRequiredError(CardError):
    """An error for a card that has not proved itself on a site that requires it (``require_proof``); the detail says
    why.
    """

    code = "proof-required"
    title = "卡片未经真伪核验，本单位不予受理"
    title_en = "The card was not proved genuine, and this site requires it"
    remedy = "请按提示使卡片可以核验（接触式卡槽、PSAM 卡、加密机）后重试；仍不能时，请核对身份证件并按本单位规定办理。"
    remedy_en = (
        "Make the check possible as described here (contact slot, PSAM card, HSM) and try again. If that fails, check "
        "the holder's identity document and follow the site's rules."
    )
    status = 422
    driver_code = -210


class ReplayedChallengeError(CardError):
    code = "replayed-challenge"
    title = "卡片重复给出同一随机数"
    title_en = "The card gave the same challenge twice"
    remedy = "请停止操作：卡片可能是仿制的，或通信被人截取。请联系信息科。"
    remedy_en = (
        "Stop. The card may be a copy, or another person may be intercepting the connection. Call your IT department."
    )
    status = 422
    driver_code = -21


class TriesLeftError(CardError):
    """An error of a verification; ``tries_left`` is the number of tries that the card gives, None if it gives none."""

    code = "tries-left"
    title = "验证失败"
    title_en = "A verification failed"
    status = 422

    def __init__(self, detail: str = "", detail_en: str = "", *, tries_left: int | None = None, **numbers: Any) -> None:
        super().__init__(detail, detail_en, **numbers)
        self.tries_left = tries_left


class AuthenticationFailedError(TriesLeftError):
    code = "authentication-failed"
    title = "外部认证失败，卡片不接受该密钥"
    title_en = "External authentication failed: the card does not accept the key"
    remedy = "请勿反复尝试；请核对 PSAM 卡或加密机的密钥是否与卡片同一发行体系。"
    remedy_en = "Do not keep trying. Check that the keys of the PSAM card or the HSM belong to this issuer."


class KeyAlreadyRefusedError(CardError):
    """An error for a card that has refused a key from here before; nothing was presented again."""

    code = "key-already-refused"
    title = "卡片此前已拒绝过这里的密钥，未再次尝试"
    title_en = "The card has refused a key from here before; nothing was presented again"
    remedy = (
        "请信息科核对 PSAM 卡、加密机或密钥文件，更换或更正后即可再读；再试会锁死卡片。"
        "发卡机构已恢复该卡密钥时，放入该卡运行 cardio keys forget。"
    )
    remedy_en = (
        "Have the keys of the PSAM card, the HSM or the file checked. After a change the card is read again. More tries"
        " would lock the card for good. If the issuer has restored its keys, insert it and run `cardio keys forget`."
    )
    status = 422


class KeyBlockedError(CardError):
    code = "key-blocked"
    title = "卡片密钥已锁定"
    title_en = "The card's key is blocked"
    remedy = "请持卡人到发卡机构处理。"
    remedy_en = "Send the holder to the issuing authority."
    status = 422
    driver_code = -0x6983


class WrongPinError(TriesLeftError):
    code = "wrong-pin"
    title = "密码错误"
    title_en = "The PIN is wrong"
    remedy = "请持卡人确认后重新输入。"
    remedy_en = "Ask the holder to check the PIN and enter it again."
    driver_code = -51


class PinBlockedError(CardError):
    code = "pin-blocked"
    title = "密码已锁定"
    title_en = "The PIN is blocked"
    remedy = "请持卡人凭有效证件办理密码解锁或重置。"
    remedy_en = "The holder can have the PIN unblocked or reset with an identity document."
    status = 422
    driver_code = -52


class PinOutcomeUnknownError(CardError):
    code = "pin-outcome-unknown"
    title = "密码操作中断，结果未知，可能已用掉一次机会"
    title_en = "The PIN operation was interrupted: its result is not known, and one try may be used"
    remedy = "请勿直接重试。请先查询剩余次数（cardio pin status）再决定；如在修改密码，新旧密码都可能有效。"
    remedy_en = (
        "Do not simply try again. First see how many tries are left (cardio pin status). If the PIN was being changed, "
        "the old or the new one may be valid."
    )
    status = 409
    driver_code = -211


class MacRefusedError(CardError):
    code = "mac-refused"
    title = "卡片拒绝了报文鉴别码，未写入"
    title_en = "The card refused the message authentication code: nothing was written"
    remedy = "请重新操作；若反复出现，请检查线路和密钥。"
    remedy_en = "Try again; if it keeps happening, check the connection and the keys."
    driver_code = -0x6988


class WriteOutcomeUnknownError(CardError):
    code = "write-outcome-unknown"
    title = "写入中断，结果未知"
    title_en = "The writing was interrupted: its result is not known"
    remedy = "请勿直接重写。请先读取该文件核对，再决定是否重写。"
    remedy_en = "Do not simply write again. First read the file, then decide whether to write again."
    status = 409
    driver_code = -212


class SessionEndedError(CardError):
    code = "session-ended"
    title = "卡片会话已结束"
    title_en = "The card session has ended"
    remedy = "请重新开始。"
    remedy_en = "Begin again."
    status = 409
