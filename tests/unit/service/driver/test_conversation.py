"""No reply is taken for the answer to another call: Decard's client and the bridge, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardio.errors import CardioError
from service.driver.conversation import MOST_PENDING, Conversation, Ended, LoopPulse, TooLate
from tests.unit.service.virtual_time import run_virtually

PATIENCE = 10.0
"""Of Decard's published client."""
CLOSED = "closed"


@dataclass(frozen=True)
class Call:
    """One call of the client, and what becomes of it on its way."""

    card_seconds: float
    there: float = 0.0
    back: float = 0.0
    away: float = 0.0
    """How long the bridge's event loop was away when the message came."""
    stubborn: bool = False
    """The work cannot be interrupted, as a write: it goes on whatever the bridge says."""


@dataclass
class Wire:
    """What is between client and bridge: messages take their time, and stay in order."""

    to_bridge: asyncio.Queue[tuple[str, Call] | None] = field(default_factory=asyncio.Queue)
    to_client: asyncio.Queue[str] = field(default_factory=asyncio.Queue)


class Bridge:
    """One socket's conversation, whose card takes as long as the call says."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._clock = asyncio.get_running_loop().time
        self._calls: dict[str, Call] = {}
        self._seen = 0.0
        self.begun: list[str] = []
        self.pulse = _Pulse(self._clock)
        self.conversation = Conversation(self, self._receive, self._send, PATIENCE, self.pulse, clock=self._clock)

    async def run(self) -> None:
        try:
            await self.conversation.run()
        except TooLate:
            self._wire.to_client.put_nowait(CLOSED)
        except Ended:
            pass

    async def _receive(self) -> str | None:
        got = await self._wire.to_bridge.get()
        if got is None:
            raise Ended()
        name, call = got
        self._calls[name] = call
        if call.away:
            left = self._clock()
            await asyncio.sleep(call.away)
            self.pulse.was_away(left)
        return name

    async def _send(self, reply: str) -> None:
        name = reply.split()[0]
        asyncio.get_running_loop().call_later(self._calls[name].back, self._wire.to_client.put_nowait, reply)

    async def answer(self, message: str | None, seconds: float | None) -> str:
        assert message is not None and seconds is not None
        self.begun.append(message)
        call = self._calls[message]
        if call.stubborn:
            await asyncio.shield(asyncio.sleep(call.card_seconds))
            return f"{message} done"
        await asyncio.sleep(min(call.card_seconds, seconds))
        return f"{message} done" if call.card_seconds <= seconds else f"{message} too slow"

    def failed(self, message: str | None, error: CardioError) -> str:
        return f"{message} {error.code}"


class _Pulse(LoopPulse):
    """Told how long the loop was away, where the real one looks at its own clock."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._since: float | None = None

    def was_away(self, since: float) -> None:
        self._since = since

    def earliest_arrival(self) -> float:
        since, self._since = self._since, None
        return super().earliest_arrival() if since is None else since


async def decard_client(wire: Wire, calls: list[Call]) -> list[tuple[str, str | None]]:
    """As published: sends, takes whatever comes within ten seconds for the answer, and goes on to the next call."""
    taken: list[tuple[str, str | None]] = []
    loop = asyncio.get_running_loop()
    for number, call in enumerate(calls):
        name = f"call-{number}"
        loop.call_later(call.there, wire.to_bridge.put_nowait, (name, call))
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await wire.to_client.get()
        except TimeoutError:
            taken.append((name, None))
            continue
        taken.append((name, reply))
        if reply == CLOSED:
            break
    return taken


def history(calls: list[Call]) -> tuple[list[tuple[str, str | None]], list[str]]:
    async def both() -> tuple[list[tuple[str, str | None]], list[str]]:
        wire = Wire()
        bridge = Bridge(wire)
        running = asyncio.ensure_future(bridge.run())
        taken = await decard_client(wire, calls)
        wire.to_bridge.put_nowait(None)
        await running
        return taken, bridge.begun

    return run_virtually(both())


_CALLS = st.builds(
    Call,
    card_seconds=st.floats(0, 200),
    there=st.floats(0, 0.5),
    back=st.floats(0, 0.5),
    away=st.one_of(st.just(0.0), st.floats(1.5, 60)),
    stubborn=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_CALLS, min_size=1, max_size=6))
def test_no_reply_belongs_to_another_call(calls: list[Call]) -> None:
    taken, _ = history(calls)
    for name, reply in taken:
        assert reply in (None, CLOSED) or reply.startswith(f"{name} "), taken


@settings(max_examples=80, deadline=None)
@given(st.lists(st.builds(Call, card_seconds=st.floats(0, 200), stubborn=st.booleans()), min_size=1, max_size=6))
def test_each_call_is_answered_while_the_loop_runs(calls: list[Call]) -> None:
    taken, _ = history(calls)
    assert [name for name, _ in taken] == [f"call-{number}" for number in range(len(calls))]
    for (name, reply), call in zip(taken, calls, strict=True):
        assert reply is not None and reply.startswith(f"{name} "), taken
        assert (reply == f"{name} done") == (call.card_seconds <= 7.8 or (call.stubborn and call.card_seconds < 8)), (
            call
        )


def test_a_card_of_three_seconds_a_command() -> None:
    """Five commands to a reading: fifteen seconds, which the client does not wait for."""
    taken, _ = history([Call(15.0), Call(0.0), Call(15.0, stubborn=True), Call(0.1)])
    assert taken == [
        ("call-0", "call-0 too slow"),
        ("call-1", "call-1 done"),
        ("call-2", "call-2 answer-too-late"),
        ("call-3", "call-3 done"),
    ]


def test_after_twelve_seconds_away_nothing_is_said_any_more() -> None:
    """A machine that slept: the client has given up and called again before the bridge sees its first message."""
    taken, begun = history([Call(0.1, away=12.0), Call(0.1)])
    assert taken == [("call-0", None), ("call-1", CLOSED)]
    assert begun == [], "a call without a waiting caller is not begun"


def test_messages_sent_at_once_are_answered_in_order_within_the_time_of_each() -> None:
    async def work() -> list[str]:
        wire = Wire()
        bridge = Bridge(wire)
        running = asyncio.ensure_future(bridge.run())
        for number, seconds in enumerate([6.0, 6.0, 0.0]):
            wire.to_bridge.put_nowait((f"call-{number}", Call(seconds)))
        replies = [await wire.to_client.get() for _ in range(3)]
        assert asyncio.get_running_loop().time() < PATIENCE
        wire.to_bridge.put_nowait(None)
        await running
        return replies

    assert run_virtually(work()) == ["call-0 done", "call-1 too slow", "call-2 done"]


def test_who_leaves_has_nothing_begun_any_more() -> None:
    async def work() -> list[str]:
        wire = Wire()
        bridge = Bridge(wire)
        for number in range(3):
            wire.to_bridge.put_nowait((f"call-{number}", Call(5.0)))
        asyncio.get_running_loop().call_later(1.0, wire.to_bridge.put_nowait, None)
        await bridge.run()
        assert asyncio.get_running_loop().time() == 5.0, "what was begun is finished"
        assert wire.to_client.empty()
        return bridge.begun

    assert run_virtually(work()) == ["call-0"]


def test_a_line_that_fails_as_nobody_planned_for_ends_the_conversation() -> None:
    async def fail() -> str | None:
        raise RuntimeError("an unplanned error")

    async def work() -> None:
        bridge = Bridge(Wire())
        bridge.conversation.receive = fail
        with pytest.raises(RuntimeError):
            await bridge.run()

    run_virtually(work())


@pytest.mark.parametrize("number", [MOST_PENDING - 1, MOST_PENDING, 3 * MOST_PENDING])
def test_a_flood_is_taken_piece_by_piece(number: int) -> None:
    async def work() -> list[str]:
        wire = Wire()
        bridge = Bridge(wire)
        running = asyncio.ensure_future(bridge.run())
        for index in range(number):
            wire.to_bridge.put_nowait((f"call-{index}", Call(0.0)))
        replies = [await wire.to_client.get() for _ in range(number)]
        wire.to_bridge.put_nowait(None)
        await running
        return replies

    assert run_virtually(work()) == [f"call-{index} done" for index in range(number)]


def test_the_pulse_knows_how_long_the_loop_was_away() -> None:
    now = [100.0]
    pulse = LoopPulse(lambda: now[0])
    assert pulse.earliest_arrival() == 100.0, "without a beat, it is now"
    for now[0] in (100.0, 101.0, 102.0):
        pulse.beat()
    now[0] = 102.9
    assert pulse.earliest_arrival() == 102.9
    now[0] = 114.0
    assert pulse.earliest_arrival() == 102.0, "away since the last beat"
    pulse.beat()
    assert pulse.earliest_arrival() == 102.0, "what is read just after may have come in between"
    now[0] = 115.0
    pulse.beat()
    assert pulse.earliest_arrival() == 115.0
