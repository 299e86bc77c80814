"""Events: numbered, replayed, and never waited for."""

from __future__ import annotations

import asyncio

from service.events.hub import KEPT, EventHub
from service.questions.book import QuestionBook, Subject


def publish(hub: EventHub, number: int = 0) -> None:
    hub.publish("card-inserted", {"reader": "r", "event_counter": number}, subject="r")


def test_events_reach_everyone_in_order_and_end_when_the_hub_closes() -> None:
    async def run() -> list[list[int]]:
        hub = EventHub()
        readers = [asyncio.create_task(numbers(hub)) for _ in range(2)]
        await asyncio.sleep(0)
        for number in range(3):
            publish(hub, number)
            await asyncio.sleep(0)
        hub.close()
        got = await asyncio.gather(*readers)
        assert await numbers(hub) == []
        return got

    async def numbers(hub: EventHub) -> list[int]:
        with hub.subscription() as events:
            return [numbered.number async for numbered in events]

    assert asyncio.run(run()) == [[1, 2, 3], [1, 2, 3]]


def test_who_was_away_gets_what_was_missed_while_it_is_kept() -> None:
    hub = EventHub()
    assert hub.events_since(hub.name_of(0)) == []
    assert hub.events_since(hub.name_of(1)) is None
    for number in range(KEPT + 10):
        publish(hub, number)
    assert [one.number for one in hub.events_since(hub.name_of(KEPT + 8)) or []] == [KEPT + 9, KEPT + 10]
    assert hub.events_since(hub.name_of(KEPT + 10)) == []
    assert len(hub.events_since(hub.name_of(10)) or []) == KEPT
    assert hub.events_since(hub.name_of(9)) is None
    assert hub.events_since(hub.name_of(KEPT + 11)) is None


def test_the_number_of_another_run_means_nothing() -> None:
    before, after = EventHub(), EventHub()
    for number in range(9):
        publish(before, number)
        publish(after, number)
    assert after.events_since(before.name_of(5)) is None
    for name in ("5", "-5", f"{after.name_of(5)}x", after.name_of(5)[:-1] + "9" * 5000, ""):
        assert after.events_since(name) is None


def test_a_client_that_never_reads_is_dropped_and_the_others_go_on() -> None:
    async def run() -> None:
        hub = EventHub()
        with hub.subscription() as slow, hub.subscription() as quick:
            for number in range(1000):
                publish(hub, number)
                assert (await anext(quick)).number == number + 1
            assert [one async for one in slow] == []
        assert hub.subscribers == 0

    asyncio.run(run())


def test_what_an_event_brings_about_is_told_after_it() -> None:
    """A client goes on after the last event that it was told of: what was told out of turn it would never hear."""

    async def run() -> list[tuple[int, str]]:
        hub = EventHub()
        book = QuestionBook(hub)
        with hub.subscription() as events:
            book.ask_for_next_call(Subject("grant", "HIS", "iVerifyPIN", "Reader One", "session"))
            hub.publish("card-removed", {"reader": "Reader One"}, subject="Reader One")
            return [(event.number, event.kind) for event in [await anext(events) for _ in range(3)]]

    assert asyncio.run(run()) == [(1, "question-asked"), (2, "card-removed"), (3, "question-answered")]
