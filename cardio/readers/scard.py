"""PC/SC calls: the only file that uses pyscard.

It uses pyscard's ``smartcard.scard``, the plain C functions, for three reasons. Its higher level powers a card down on
disconnect and so resets other programs. Its monitors stop permanently when the service stops. Its errors are compared
by texts that differ from system to system; here they are distinguished by number. Calls with names of readers are made
by `cardio.readers.named_calls`, because pyscard supports ASCII names only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from cardio.apdu.channel import TransmissionProtocol
from cardio.errors import (
    CardGarbledError,
    CardioError,
    CardMuteError,
    CardRemovedError,
    CardResetError,
    NoCardError,
    NotPermittedError,
    PcscUnavailableError,
    ReaderBusyError,
    ReaderError,
    ReaderGoneError,
    ReaderTimeoutError,
)
from cardio.readers import named_calls
from cardio.readers.absence import policy_fault, service_fault, support_fault
from cardio.readers.reader_names import raw_name, readable_name

E_CANCELLED = 0x80100002
E_INVALID_HANDLE = 0x80100003
E_UNKNOWN_READER = 0x80100009
E_TIMEOUT = 0x8010000A
E_SHARING_VIOLATION = 0x8010000B
E_NO_SMARTCARD = 0x8010000C
E_PROTO_MISMATCH = 0x8010000F
E_NOT_TRANSACTED = 0x80100016
E_READER_UNAVAILABLE = 0x80100017
E_COMM_ERROR = 0x80100013
E_NO_SERVICE = 0x8010001D
E_SERVICE_STOPPED = 0x8010001E
E_NO_READERS = 0x8010002E
E_COMM_DATA_LOST = 0x8010002F
W_UNSUPPORTED = 0x80100065
W_UNRESPONSIVE = 0x80100066
W_UNPOWERED = 0x80100067
W_RESET = 0x80100068
W_REMOVED = 0x80100069
W_SECURITY_VIOLATION = 0x8010006A

SERVICE_LOST = frozenset({E_NO_SERVICE, E_SERVICE_STOPPED, E_INVALID_HANDLE, E_COMM_ERROR})
"""The errors after which the context is useless: the service stopped, was restarted or killed."""

_ERRORS: dict[int, type[CardioError]] = {
    **dict.fromkeys(SERVICE_LOST, PcscUnavailableError),
    E_NO_READERS: ReaderGoneError,
    E_UNKNOWN_READER: ReaderGoneError,
    E_READER_UNAVAILABLE: ReaderGoneError,
    E_SHARING_VIOLATION: ReaderBusyError,
    E_NO_SMARTCARD: NoCardError,
    W_REMOVED: CardRemovedError,
    W_RESET: CardResetError,
    W_UNPOWERED: CardMuteError,
    W_UNRESPONSIVE: CardMuteError,
    W_UNSUPPORTED: CardMuteError,
    E_PROTO_MISMATCH: CardMuteError,
    E_NOT_TRANSACTED: CardRemovedError,
    E_COMM_DATA_LOST: CardGarbledError,
    E_TIMEOUT: ReaderTimeoutError,
    W_SECURITY_VIOLATION: NotPermittedError,
}
STATE_UNAWARE, STATE_CHANGED = 0x0000, 0x0002
STATE_UNKNOWN, STATE_UNAVAILABLE, STATE_EMPTY, STATE_PRESENT = 0x0004, 0x0008, 0x0010, 0x0020
STATE_EXCLUSIVE, STATE_IN_USE, STATE_MUTE = 0x0080, 0x0100, 0x0200
_GET_FEATURE_REQUEST = 3400
PNP_NOTIFICATION = "\\\\?PnP?\\Notification"


@cache
def _library() -> ModuleType:
    try:
        from smartcard import scard
    except ImportError as error:
        raise support_fault() from error
    library: ModuleType = scard
    return library


def error_for(result: int) -> CardioError:
    """Return the error for a PC/SC return value."""
    number = result & 0xFFFFFFFF
    kind = _ERRORS.get(number, ReaderError)
    if kind is NotPermittedError:
        return policy_fault(number)
    if number == E_NO_SERVICE:
        return service_fault(number)
    if kind is ReaderError:
        return ReaderError(f"读卡器返回错误 {number:08X}", f"PC/SC error {number:08X}", hresult=number)
    return kind(hresult=number)


def _checked(answer: Any) -> Any:
    """Return the results of a call without its return value; raise the error for a return value that is not success."""
    result, *rest = answer if isinstance(answer, (list, tuple)) else (answer,)
    if result != 0:
        raise error_for(result)
    return rest[0] if len(rest) == 1 else rest


def _checked_on_card(answer: Any) -> Any:
    """Return the results of a call on a held card, as `_checked` does.

    PC/SC's policy is checked when a program connects to the service and to a card. Later, "security violation" means
    that the service was restarted and does not know the handle.
    """
    result = answer[0] if isinstance(answer, (list, tuple)) else answer
    if result & 0xFFFFFFFF == W_SECURITY_VIOLATION:
        raise PcscUnavailableError(hresult=W_SECURITY_VIOLATION)
    return _checked(answer)


@dataclass(frozen=True, slots=True)
class ReaderState:
    """The state of one reader in PC/SC."""

    name: str
    flags: int
    """The whole state word, which the next call passes back."""
    atr: bytes

    @property
    def event_counter(self) -> int:
        """Return the counter, which rises with every insertion and removal."""
        return self.flags >> 16 & 0xFFFF


class Context:
    """A connection to the PC/SC service. One thread uses it; only `cancel` may be called from another."""

    def __init__(self) -> None:
        self._handle = _checked(_library().SCardEstablishContext(_library().SCARD_SCOPE_USER))

    def release(self) -> None:
        _library().SCardReleaseContext(self._handle)

    def cancel(self) -> None:
        """End a `status_change` that waits on another thread."""
        _library().SCardCancel(self._handle)

    def readers(self) -> list[str]:
        """Return the names of the present readers, as `readable_name` has them."""
        return [named_calls.to_text(raw) or readable_name(raw) for raw in self._raw_names()]

    def _raw_names(self) -> list[bytes]:
        result, names = named_calls.list_readers(self._handle)
        if result == E_NO_READERS:
            return []
        if result != 0:
            raise error_for(result)
        return names

    def _raw_name(self, name: str) -> bytes:
        raw = named_calls.from_text(name) or raw_name(name, self._raw_names)
        if raw is None:
            raise error_for(E_UNKNOWN_READER)
        return raw

    def status_change(self, milliseconds: int, known: Sequence[tuple[str, int]]) -> list[ReaderState] | None:
        """Wait until a reader's state differs from the known one; return None when the time is over."""
        raw = [(self._raw_name(name), flags & ~STATE_CHANGED) for name, flags in known]
        result, states = named_calls.status_change(self._handle, milliseconds, raw)
        if result in (E_TIMEOUT, E_CANCELLED):
            return None
        if result != 0:
            raise error_for(result)
        return [ReaderState(name, flags, atr) for (name, _), (flags, atr) in zip(known, states, strict=True)]

    def connect(self, reader: str) -> ConnectedCard:
        """Power the card in a reader, shared with other programs."""
        library = _library()
        protocols = library.SCARD_PROTOCOL_T0 | library.SCARD_PROTOCOL_T1
        result, handle, protocol = named_calls.connect(
            self._handle, self._raw_name(reader), library.SCARD_SHARE_SHARED, protocols
        )
        if result != 0:
            raise error_for(result)
        return ConnectedCard(handle, protocol)


class ConnectedCard:
    """A card that is powered."""

    def __init__(self, handle: Any, protocol: int) -> None:
        self._handle = handle
        t1 = protocol == _library().SCARD_PROTOCOL_T1
        self.protocol = TransmissionProtocol.T1 if t1 else TransmissionProtocol.T0
        self._pci = _library().SCARD_PCI_T1 if t1 else _library().SCARD_PCI_T0

    def atr(self) -> bytes:
        atr: bytes = _checked_on_card(named_calls.card_status(self._handle))
        return atr

    def begin_transaction(self) -> None:
        """Keep other programs' commands out; wait as long as another program does the same."""
        _checked_on_card(_library().SCardBeginTransaction(self._handle))

    def end_transaction(self) -> None:
        _library().SCardEndTransaction(self._handle, _library().SCARD_LEAVE_CARD)

    def transmit(self, command: bytes) -> bytes:
        return bytes(_checked_on_card(_library().SCardTransmit(self._handle, self._pci, list(command))))

    def control(self, code: int, data: bytes) -> bytes:
        """Send a control code to the reader."""
        return bytes(_checked_on_card(_library().SCardControl(self._handle, code, list(data))))

    def feature_list(self) -> bytes:
        """Return the features of PC/SC part 10; none where the reader knows none."""
        library = _library()
        result, answer = library.SCardControl(self._handle, library.SCARD_CTL_CODE(_GET_FEATURE_REQUEST), [])
        return bytes(answer) if result == 0 else b""

    def reader_serial(self) -> bytes:
        """Return the reader's serial number (PC/SC part 3, VENDOR_IFD_SERIAL_NO); empty where the driver has none."""
        library = _library()
        result, value = library.SCardGetAttrib(self._handle, library.SCARD_ATTR_VENDOR_IFD_SERIAL_NO)
        return bytes(value) if result == 0 else b""

    def disconnect(self, *, reset: bool = False) -> None:
        """Release the card and leave it powered: to power it down would reset it for other programs.

        Args:
            reset: reset the card, so that a PIN or a key that was presented does not serve the next program.
        """
        library = _library()
        library.SCardDisconnect(self._handle, library.SCARD_RESET_CARD if reset else library.SCARD_LEAVE_CARD)
