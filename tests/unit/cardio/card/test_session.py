"""A card that is held over several calls: kept alive while idle, let go when its time is over or it is lost."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from cardio.card.session import CardSession
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import CardioError, CardRemovedError, ReaderBusyError, ReaderTimeoutError
from cardio.filesystem.capabilities import CapabilityCache
from cardio.security.errors import SessionEndedError
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareConnection, SoftwareReader
from tests.pcsc import wait_until


class Watched(SoftwareReader):
    """Counts how often its card was shown to be wanted."""

    def __init__(self) -> None:
        super().__init__("r", find_persona("adult").card())
        self.kept_alive = 0

    def connect(self) -> SoftwareConnection:
        connection = super().connect()
        keep_alive = connection.keep_alive

        def count() -> None:
            self.kept_alive += 1
            keep_alive()

        connection.keep_alive = count  # type: ignore[method-assign]
        return connection


def session_on(reader: SoftwareReader, seconds: float = 60.0) -> CardSession:
    return CardSession(reader, capabilities=CapabilityCache(None), seconds=seconds, keep_alive_seconds=0.01)


def test_it_is_kept_alive_while_nobody_asks_and_nobody_else_has_the_card() -> None:
    reader = Watched()
    with session_on(reader) as session:
        assert session.run(lambda card: card.read(supplement=False)).holder is not None
        wait_until(lambda: reader.kept_alive > 3, "the card is kept alive")
        other = threading.Thread(target=lambda: reader.connect().close(), daemon=True)
        other.start()
        other.join(0.1)
        assert other.is_alive()
    other.join(5)
    assert not other.is_alive()


def test_its_time_has_an_end() -> None:
    reader = Watched()
    session = session_on(reader, seconds=0.2)
    wait_until(lambda: session.ended, "the session has ended")
    with pytest.raises(SessionEndedError):
        session.run(lambda card: card.atr)
    reader.connect().close()
    session.close()


def test_a_card_that_is_pulled_ends_it() -> None:
    reader = Watched()
    session = session_on(reader)
    reader.remove()
    wait_until(lambda: session.ended, "the loss was noticed")
    with pytest.raises(SessionEndedError):
        session.run(lambda card: card.read())


def test_a_loss_in_a_call_is_told_once_as_what_it_is() -> None:
    reader = SoftwareReader("r", find_persona("adult").card())
    session = CardSession(reader, capabilities=CapabilityCache(None), keep_alive_seconds=60)
    reader.remove()
    with pytest.raises(CardRemovedError):
        session.run(lambda card: card.read())
    with pytest.raises(SessionEndedError):
        session.run(lambda card: card.read())
    session.close()
    session.close()


def test_an_error_of_the_work_does_not_end_it() -> None:
    with session_on(Watched()) as session:
        with pytest.raises(CardioError):
            session.run(lambda card: card.file("DF09/EF99"))
        assert session.run(lambda card: card.layout.generation) == 2


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    for _ in range(5):
        with session_on(Watched()) as session:
            session.run(lambda card: card.atr)
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_a_card_that_hangs_is_touched_by_nobody_but_the_thread_that_hangs(store: CapabilityCache) -> None:
    """PC/SC's library holds a lock of the whole process while it waits for a handle that another call is stuck in."""
    hanging, released = threading.Event(), threading.Event()
    reader = SoftwareReader("r", find_persona("adult").card())
    connect = reader.connect
    closed_by: list[str] = []

    def noted() -> SoftwareConnection:
        connection = connect()
        close = connection.close

        def note(*, reset: bool = False) -> None:
            closed_by.append(threading.current_thread().name)
            close(reset=reset)

        connection.close = note  # type: ignore[method-assign]
        return connection

    reader.connect = noted  # type: ignore[method-assign]
    session = CardSession(reader, capabilities=store)

    def hang(card: SocialSecurityCard) -> None:
        hanging.set()
        released.wait(10)

    with pytest.raises(ReaderTimeoutError):
        session.run(hang, seconds=0.1)
    assert hanging.wait(5) and session.ended
    session.close()
    assert closed_by == []
    with pytest.raises(SessionEndedError):
        session.run(lambda card: card.atr)
    released.set()
    wait_until(lambda: closed_by == ["cardio-reading"], "the thread that hung lets the card go")


def test_a_person_who_interrupts_a_call_ends_it_and_only_the_thread_that_works_lets_the_card_go() -> None:
    reader, working, released = Watched(), threading.Event(), threading.Event()
    session = CardSession(reader, capabilities=CapabilityCache(None), keep_alive_seconds=60)

    def work(card: SocialSecurityCard) -> None:
        working.set()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        released.wait(20)

    with pytest.raises(KeyboardInterrupt):
        session.run(work)
    assert working.is_set() and session.ended
    session.close()
    other = threading.Thread(target=lambda: reader.connect().close(), daemon=True)
    other.start()
    other.join(0.1)
    assert other.is_alive(), "the card is still at work"
    released.set()
    other.join(5)
    assert not other.is_alive()


def test_a_connection_that_comes_after_it_was_given_up_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cardio.card.session.OPERATION_SECONDS", 0.05)
    reader = Watched()
    held = reader.connect()
    with pytest.raises(ReaderBusyError):
        session_on(reader)
    held.close()
    reader.connect().close()
