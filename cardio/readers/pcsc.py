"""Readers over PC/SC."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cardio.apdu.channel import TransmissionProtocol
from cardio.errors import (
    CardioError,
    CardMuteError,
    CardRemovedError,
    NoCardError,
    NotPermittedError,
    PcscUnavailableError,
    ReaderGoneError,
)
from cardio.models.readers import ReaderInfo, ReaderStatus
from cardio.readers import scard
from cardio.readers.absence import service_start
from cardio.readers.base import Emit, Reader, Watch
from cardio.readers.supervision import Supervisor
from cardio.readers.watcher import PcscWatch

_LEAST_RESPONSE = 2
_SECOND_LOOK = 0.3
_LOOKS_AT_A_REFUSAL = (_SECOND_LOOK, 0.6)
"""The seconds before a refused call is repeated, for each repetition."""
_LEAVING_MILLISECONDS = 1_000
"""The longest wait for a card's removal, in milliseconds; readers look for their card about every 400 ms."""


def status_of(state: scard.ReaderState) -> ReaderStatus:
    """Return the meaning of a state word for people."""
    flags = state.flags
    if flags & (scard.STATE_UNAVAILABLE | scard.STATE_UNKNOWN):
        return ReaderStatus.UNAVAILABLE
    if not flags & scard.STATE_PRESENT:
        return ReaderStatus.EMPTY
    if flags & scard.STATE_MUTE:
        return ReaderStatus.MUTE
    return ReaderStatus.IN_USE if flags & scard.STATE_EXCLUSIVE else ReaderStatus.CARD


def info_of(state: scard.ReaderState) -> ReaderInfo:
    status = status_of(state)
    return ReaderInfo(
        name=state.name,
        simulated=False,
        status=status,
        atr=state.atr.hex().upper() if state.atr and status in (ReaderStatus.CARD, ReaderStatus.IN_USE) else None,
        event_counter=state.event_counter,
    )


class PcscConnection:
    """A card held in a transaction, with a PC/SC context of its own."""

    def __init__(self, reader: str, context: scard.Context, card: scard.ConnectedCard) -> None:
        self._reader = reader
        self._context = context
        self._card = card
        self.atr = card.atr()
        self._closed = False
        self._perhaps_removed = False

    @property
    def protocol(self) -> TransmissionProtocol:
        return self._card.protocol

    def transmit(self, command: bytes) -> bytes:
        """Send one command.

        Raises:
            CardRemovedError: the card was removed.
            CardResetError: another program has reset it.
        """
        try:
            response = self._card.transmit(command)
        except (NoCardError, CardRemovedError) as error:
            self._perhaps_removed = True
            raise CardRemovedError(hresult=error.hresult) from error
        if len(response) < _LEAST_RESPONSE and self._is_leaving():
            self._perhaps_removed = True
            raise CardRemovedError()
        return response

    def event_counter(self) -> int:
        try:
            states = self._context.status_change(0, [(self._reader, scard.STATE_UNAWARE)])
        except NotPermittedError as error:
            # A process that holds a card was authorised at connect: pcscd has restarted and lost the handle.
            raise PcscUnavailableError(hresult=error.hresult) from error
        if not states:
            raise ReaderGoneError()
        return states[0].event_counter

    def keep_alive(self) -> None:
        self._card.atr()  # SCardStatus: any call on the handle counts

    def feature_list(self) -> bytes:
        return self._card.feature_list()

    def reader_serial(self) -> bytes:
        return self._card.reader_serial()

    def control(self, code: int, data: bytes) -> bytes:
        try:
            return self._card.control(code, data)
        except (NoCardError, CardRemovedError) as error:
            self._perhaps_removed = True
            raise CardRemovedError(hresult=error.hresult) from error

    def _is_leaving(self) -> bool:
        """Return True if an empty answer comes from a card that is being removed: some drivers report no error."""
        states = self._context.status_change(0, [(self._reader, scard.STATE_UNAWARE)])
        if states and states[0].flags & scard.STATE_PRESENT:
            known = states[0].flags & ~scard.STATE_CHANGED
            states = self._context.status_change(_LEAVING_MILLISECONDS, [(self._reader, known)])
        return bool(states)

    def _is_removed(self) -> bool:
        """Return True if the held card was removed; called before the card is reset.

        If a removed card is reset, pcscd takes its reader for empty. It then misses the next card if that is inserted
        before its next poll (pcsc-lite 1.9.9, SCardDisconnect).
        """
        try:
            self._card.atr()
            return self._perhaps_removed and self._is_leaving()
        except (NoCardError, CardRemovedError):
            return True
        except CardioError:  # a reset by another program, or a missing service, is not a removal
            return False

    def close(self, *, reset: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if reset and not self._is_removed():
                # Reset before the transaction ends: so no other program can use the rights in between.
                self._card.disconnect(reset=True)
            else:
                self._card.end_transaction()
                self._card.disconnect()
        finally:
            self._context.release()


Answer = TypeVar("Answer")


def _unless_refused_again(call: Callable[[], Answer]) -> Answer:
    """Return the result of a call that begins with a new context; a refusal counts only when the service gives it three
    times.

    A service that stops, or that just starts, resets its connections. For those pcsc-lite returns the same code as for
    a policy that refuses (winscard_msg.c, MessageReceive: ECONNRESET is SCARD_W_SECURITY_VIOLATION).

    Raises:
        NotPermittedError: the policy refuses.
        PcscUnavailableError: the service was restarted meanwhile, and is not ready yet.
    """
    start = service_start()
    for pause in _LOOKS_AT_A_REFUSAL:
        try:
            return call()
        except NotPermittedError:
            time.sleep(pause)
    try:
        return call()
    except NotPermittedError as error:
        if service_start() != start:
            raise PcscUnavailableError(hresult=error.hresult) from error
        raise


@dataclass(frozen=True, slots=True)
class PcscReader:
    """One PC/SC reader."""

    name: str
    simulated: bool = False

    def info(self) -> ReaderInfo:
        return _unless_refused_again(self._info)

    def _info(self) -> ReaderInfo:
        context = scard.Context()
        try:
            states = context.status_change(0, [(self.name, scard.STATE_UNAWARE)])
        finally:
            context.release()
        if not states:
            return ReaderInfo(
                name=self.name, simulated=False, status=ReaderStatus.UNAVAILABLE, atr=None, event_counter=0
            )
        return info_of(states[0])

    def connect(self) -> PcscConnection:
        """Power the card and hold it, as `Reader.connect` does.

        A card that is just being reset has no protocol yet, so the call is repeated once. pcscd resets a card when
        another program ends while it holds the card.
        """
        try:
            return _unless_refused_again(self._connect)
        except CardMuteError as error:
            if error.hresult != scard.E_PROTO_MISMATCH:
                raise
            time.sleep(_SECOND_LOOK)
            return _unless_refused_again(self._connect)

    def _connect(self) -> PcscConnection:
        context = scard.Context()
        try:
            card = context.connect(self.name)
            try:
                card.begin_transaction()
                return PcscConnection(self.name, context, card)
            except CardioError:
                card.disconnect()
                raise
        except CardioError:
            context.release()
            raise


class PcscSource:
    """The readers of this machine's PC/SC service."""

    def __init__(self, supervisor: Supervisor | None = None) -> None:
        """Set up without connecting to the service.

        Args:
            supervisor: notes the errors of the watching.
        """
        self._supervisor = supervisor or Supervisor()

    def readers(self) -> Sequence[Reader]:
        return _unless_refused_again(self._readers)

    def _readers(self) -> Sequence[Reader]:
        context = scard.Context()
        try:
            return [PcscReader(name) for name in context.readers()]
        finally:
            context.release()

    def reader(self, name: str) -> Reader:
        return PcscReader(name)

    def watch(self, emit: Emit) -> Watch:
        return PcscWatch(emit, supervisor=self._supervisor)
