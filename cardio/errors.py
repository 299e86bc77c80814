"""Every error that cardio raises on purpose, each with its cause and the remedy.

::

    CardioError
    ├── UsageError                      usage                        change the call
    │   └── NoSuchFileError             no-such-file                 name a file that the layout has
    ├── CannotWriteError                cannot-write                 mend path, permission or disk
    ├── NotPermittedError               not-permitted                get the permission
    ├── NotSupportedError               not-supported                call something else
    ├── ConfigurationError              configuration                mend the setting it names
    │   └── LayoutError                 layout                       mend the TOML file it names
    ├── ReaderError                     (the desk's side)
    │   ├── PcscUnavailableError        pcsc-unavailable             start the PC/SC service
    │   │   ├── PcscNotInstalledError   pcsc-not-installed           install pcscd and libccid
    │   │   └── PcscSupportMissingError pcsc-support-missing         add pyscard
    │   ├── NoReaderError               no-reader                    plug a reader in
    │   ├── ReaderNotFoundError         reader-not-found             name another reader
    │   │   └── AmbiguousReaderError    reader-ambiguous             name one reader in full
    │   ├── SeveralCardsError           several-cards                leave one card in, or name a reader
    │   ├── ReaderWatchError            reader-watch-failed          wait, it starts again by itself
    │   ├── ReaderGoneError             reader-gone                  plug it in again
    │   ├── ReaderBusyError             reader-busy                  wait, close the other program
    │   └── ReaderTimeoutError          reader-timeout               take the card out, put it in again
    └── CardError                       (the card's side)
        ├── NoCardError                 no-card                      put a card in
        ├── CardMuteError               card-mute                    turn the card over
        ├── CardRemovedError            card-removed                 put it back, leave it in
        ├── CardChangedError            card-changed                 begin again with the card that is in now
        ├── CardResetError              card-reset                   begin again
        ├── NotASocialSecurityCardError not-a-social-security-card   use the right card
        ├── CardBlockedError            card-blocked                 send the holder to the issuing authority
        ├── AccessNotGrantedError       access-not-granted           get the PIN, a PSAM or an HSM
        ├── FileUnreadableError         file-unreadable              depends on the file
        ├── NoPhotoError                no-photo                     continue without it
        ├── NoBankNumberError           no-bank-number               continue without it
        ├── CardRefusedError            card-error                   depends on the status word
        ├── NotWrittenError             not-written                  write it again
        ├── CardGarbledError            card-garbled                 clean the contacts, try again
        └── DecodeError                 undecodable                  one item only; the rest stands

An error is written for a clerk: ``title`` names the event and ``remedy`` the next action, both in Chinese, with
complete English beside them. ``driver_code`` is the number that the national driver interface gives for the same event;
``exit_status`` follows sysexits.h where that has a suitable code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self


class CardioError(Exception):
    """The root of all errors: catch this to catch everything that cardio raises on purpose."""

    code: ClassVar[str] = "error"
    title: str = "操作未完成"
    title_en: str = "The operation was not completed"
    remedy: str = "请重试；若仍失败，请联系信息科。"
    remedy_en: str = "Try again; if it fails again, call your IT department."
    status: ClassVar[int] = 500
    exit_status: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    driver_code: int | None = None

    def __init__(
        self,
        detail: str = "",
        detail_en: str = "",
        *,
        status_word: int | None = None,
        hresult: int | None = None,
        driver_code: int | None = None,
    ) -> None:
        """Set up the error.

        Args:
            detail: the exact event, in Chinese.
            detail_en: the same in English.
            status_word: the card's status word, if there is one.
            hresult: PC/SC's error number, if there is one.
            driver_code: the return code of the national interface, if it is not the class's.
        """
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.detail_en = detail_en or (self.title_en if not detail else detail)
        self.status_word = status_word
        self.hresult = hresult
        if driver_code is not None:
            self.driver_code = driver_code

    def __str__(self) -> str:
        return f"{self.detail} ({self.detail_en})"


class UsageError(CardioError):
    code = "usage"
    title = "参数不正确"
    title_en = "The request is not well formed"
    remedy = "请按说明更正参数。"
    remedy_en = "Correct the argument as the help text says."
    status = 400
    exit_status = 2
    driver_code = -14


class NoSuchFileError(UsageError):
    code = "no-such-file"
    title = "没有这个文件"
    title_en = "There is no such file"
    remedy = "请从文件树中选择（cardio files）。"
    remedy_en = "Choose a file from the tree (cardio files)."
    status = 404


class CannotWriteError(CardioError):
    code = "cannot-write"
    title = "文件无法写入"
    title_en = "A file cannot be written"
    remedy = "请检查路径、权限和磁盘空间。"
    remedy_en = "Check the path, the permissions and the space on the disk."


class NotPermittedError(CardioError):
    code = "not-permitted"
    title = "没有权限"
    title_en = "Not permitted"
    remedy = "请联系管理员授予权限。"
    remedy_en = "Ask the administrator for the permission."
    status = 403
    exit_status = 77


class NotSupportedError(CardioError):
    code = "not-supported"
    title = "不支持此功能"
    title_en = "This is not supported"
    remedy = "请联系信息科。"
    remedy_en = "Call your IT department."
    status = 501
    driver_code = -13


class ConfigurationError(CardioError):
    code = "configuration"
    title = "配置有误"
    title_en = "The configuration is wrong"
    remedy = "请按提示修改配置后重新启动。"
    remedy_en = "Fix the setting that is named here, then start again."
    exit_status = 78


class LayoutError(ConfigurationError):
    code = "layout"
    title = "卡结构描述文件有误"
    title_en = "A card layout file is wrong"
    remedy = "请按提示修改卡结构文件。"
    remedy_en = "Fix the layout file at the place that is named here."


class ReaderError(CardioError):
    """An error of the desk's side: PC/SC, the reader, or another program that holds it."""

    code = "reader-error"
    title = "读卡器故障"
    title_en = "The reader failed"
    remedy = "请重新插拔读卡器后重试。"
    remedy_en = "Unplug the reader, plug it in again, and retry."
    status = 503
    exit_status = 69
    retryable = True
    driver_code = -11


class PcscUnavailableError(ReaderError):
    code = "pcsc-unavailable"
    title = "智能卡服务未运行"
    title_en = "The PC/SC service is not running"
    remedy = "请启动智能卡服务（Linux 为 pcscd，Windows 为 Smart Card 服务），本程序会自动恢复。"
    remedy_en = "Start the PC/SC service (pcscd on Linux, Smart Card on Windows); this program recovers by itself."


class PcscNotInstalledError(PcscUnavailableError):
    code = "pcsc-not-installed"
    title = "未安装智能卡服务"
    title_en = "The PC/SC service is not installed"
    remedy = "请用系统的软件包管理器安装 pcscd（pcsc-lite）和读卡器驱动 libccid（ccid），装好后本程序会自动恢复。"
    remedy_en = (
        "Install pcscd (pcsc-lite) and the readers' driver libccid (ccid); this program then recovers by itself."
    )


class PcscSupportMissingError(PcscUnavailableError):
    code = "pcsc-support-missing"
    title = "本程序未安装读卡器支持（pyscard）"
    title_en = "This program has no support for readers (pyscard)"
    remedy = "请安装 pyscard（pip install pyscard），然后重新启动本程序。"
    remedy_en = "Install pyscard (pip install pyscard), then start this program again."


class NoReaderError(ReaderError):
    code = "no-reader"
    title = "没有找到读卡器"
    title_en = "No reader was found"
    remedy = "请检查读卡器的连接线和电源，然后重试。"
    remedy_en = "Check the reader's cable and power, then try again."


class ReaderNotFoundError(ReaderError):
    code = "reader-not-found"
    title = "没有这个读卡器"
    title_en = "There is no such reader"
    remedy = "请用 cardio readers 查看现有读卡器的名称。"
    remedy_en = "See the names of the present readers with: cardio readers"
    status = 404
    retryable = False


class AmbiguousReaderError(ReaderNotFoundError):
    code = "reader-ambiguous"
    title = "有多个读卡器符合"
    title_en = "Several readers fit"
    remedy = "请写出读卡器的完整名称（cardio readers 可查看），或只在其中一个读卡器中放卡。"
    remedy_en = "Name the reader in full (see: cardio readers), or leave a card in one of them only."
    status = 409
    retryable = False


class SeveralCardsError(ReaderError):
    code = "several-cards"
    title = "有多张社会保障卡"
    title_en = "There is more than one social security card"
    remedy = "请只留下持卡人的卡，取出其他卡片后重试。"
    remedy_en = "Leave the holder's card in, take the others out, and try again."
    status = 409
    driver_code = -2

    @classmethod
    def between(cls, readers: Sequence[str]) -> Self:
        """Return the error for several readers with a social security card.

        Args:
            readers: the names of these readers.
        """
        return cls(
            f"以下读卡器中都有社会保障卡：{'、'.join(readers)}",
            f"each of these readers has a social security card: {', '.join(readers)}",
        )


class ReaderWatchError(ReaderError):
    code = "reader-watch-failed"
    title = "读卡器监视出错，正在自动恢复"
    title_en = "The watch of the readers has failed and is restarting by itself"
    remedy = "请稍候几秒再试；若持续出现，请联系信息科（cardio doctor 可查出原因）。"
    remedy_en = (
        "Wait a few seconds and try again; if it keeps happening, call your IT department (cardio doctor says more)."
    )
    status = 503


class ReaderGoneError(ReaderError):
    code = "reader-gone"
    title = "读卡器已断开"
    title_en = "The reader has been disconnected"
    remedy = "请重新连接读卡器。"
    remedy_en = "Connect the reader again."


class ReaderBusyError(ReaderError):
    code = "reader-busy"
    title = "读卡器正被其他程序占用"
    title_en = "Another program is using the reader"
    remedy = "请等待其他程序完成，或关闭它后重试。"
    remedy_en = "Wait for the other program to finish, or close it, then try again."
    status = 409
    exit_status = 1


class ReaderTimeoutError(ReaderError):
    code = "reader-timeout"
    title = "读卡超时"
    title_en = "The card did not answer in time"
    remedy = "请取出卡片，重新插入后再读。"
    remedy_en = "Take the card out, put it in again, and read once more."
    status = 504
    exit_status = 1


class CardError(CardioError):
    """An error of the card's side: the card is absent, wrong, refuses, or its answers are malformed."""

    code = "card-fault"
    status = 502
    exit_status = 1


class NoCardError(CardError):
    code = "no-card"
    title = "读卡器中没有卡"
    title_en = "There is no card in the reader"
    remedy = "请插入社会保障卡。"
    remedy_en = "Put a social security card into the reader."
    status = 404
    retryable = True
    driver_code = -2


class CardMuteError(CardError):
    code = "card-mute"
    title = "卡片没有应答"
    title_en = "The card does not answer"
    remedy = "卡片可能插反了：请将芯片面朝上、芯片一端先插入；仍无应答时请擦净芯片或换卡。"
    remedy_en = (
        "It may be upside down: insert it chip up, chip first. If it still does not answer, clean the chip or use "
        "another card."
    )
    retryable = True
    driver_code = -4


class CardRemovedError(CardError):
    code = "card-removed"
    title = "读卡过程中卡片被取出"
    title_en = "The card was taken out while it was being read"
    remedy = "请重新插入卡片，读完之前不要取出。"
    remedy_en = "Put the card back and leave it in until the reading is done."
    status = 409
    retryable = True
    driver_code = -2


class CardChangedError(CardError):
    code = "card-changed"
    title = "卡片已被更换"
    title_en = "Another card has been put in"
    remedy = "请确认当前卡片后重新开始。"
    remedy_en = "Make sure which card is in, and begin again."
    status = 409
    retryable = True
    driver_code = -22


class CardResetError(CardError):
    code = "card-reset"
    title = "卡片被其他程序复位"
    title_en = "Another program reset the card"
    remedy = "请重新读卡；若反复出现，请关闭其他读卡程序。"
    remedy_en = "Read again; if it keeps happening, close the other card programs."
    status = 409
    retryable = True
    driver_code = -3


class NotASocialSecurityCardError(CardError):
    code = "not-a-social-security-card"
    title = "这不是社会保障卡"
    title_en = "This is not a social security card"
    remedy = "请换用社会保障卡（不是银行卡、身份证或就诊卡）。"
    remedy_en = "Use a social security card, not a bank card, identity card or hospital card."
    status = 422
    driver_code = -1


class CardBlockedError(CardError):
    code = "card-blocked"
    title = "卡片或应用已被锁定"
    title_en = "The card or its application is blocked"
    remedy = "请持卡人到发卡机构办理解锁或换卡。"
    remedy_en = "Send the holder to the issuing authority to have it unblocked or replaced."
    status = 422
    driver_code = -27265


class AccessNotGrantedError(CardError):
    code = "access-not-granted"
    title = "所需信息需授权读取"
    title_en = "The card opens this information only with a permission"
    remedy = "请持卡人输入密码，或由 PSAM 卡、加密机授权。"
    remedy_en = "Let the holder enter the PIN, or use a PSAM card or an HSM."
    status = 403
    driver_code = -27010


class FileUnreadableError(CardError):
    code = "file-unreadable"
    title = "文件不能读取"
    title_en = "The file cannot be read"
    remedy = "请持卡人携卡到社保卡服务网点检测。"
    remedy_en = "Have the issuing authority check the card."
    status = 422


class NoPhotoError(CardError):
    code = "no-photo"
    title = "卡内没有照片"
    title_en = "There is no photo on the card"
    remedy = "请用其他方式核对持卡人。"
    remedy_en = "Check the holder by other means."
    status = 404


class NoBankNumberError(CardError):
    """An error for a card without a readable bank card number; ``status_word`` is the answer of its bank application,
    if that is the reason.
    """

    code = "no-bank-number"
    title = "卡内没有可读的银行卡号"
    title_en = "The card gives no bank card number"
    remedy = "请向持卡人询问银行卡号，或使用银行卡。"
    remedy_en = "Ask the holder for the number, or take the bank card."
    status = 404
    driver_code = -0x6A82


class CardRefusedError(CardError):
    """An error for a refusal by the card; ``status_word`` is the card's status word."""

    code = "card-error"
    title = "卡片拒绝了操作"
    title_en = "The card refused the command"
    remedy = "请重新插卡再试；若仍失败，请持卡人携卡到社保卡服务网点检测。"
    remedy_en = "Insert the card again and retry; if it still fails, have the issuing authority check the card."

    def __init__(self, detail: str, detail_en: str = "", *, status_word: int) -> None:
        super().__init__(detail, detail_en, status_word=status_word, driver_code=-status_word)


class NotWrittenError(CardError):
    code = "not-written"
    title = "写入后核对不一致"
    title_en = "What was read back is not what was written"
    remedy = "请重新写入；若仍不一致，请持卡人携卡到社保卡服务网点检测。"
    remedy_en = "Write it again; if it still differs, have the issuing authority check the card."


class CardGarbledError(CardError):
    code = "card-garbled"
    title = "卡片返回的数据无法识别"
    title_en = "The card's answer cannot be understood"
    remedy = "请擦净芯片后重新插卡；若仍失败，请持卡人携卡到社保卡服务网点检测。"
    remedy_en = "Clean the chip and insert the card again; if it still fails, have the issuer check the card."
    retryable = True
    driver_code = -15


class DecodeError(CardError):
    """An error for one value that cannot be decoded. It never spoils the values beside it."""

    code = "undecodable"
    title = "数据项无法解读"
    title_en = "A data item cannot be decoded"
    remedy = "该项请人工核对；其他项不受影响。"
    remedy_en = "Check this item by hand; the others are not affected."
    driver_code = -15
