"""``cardio read`` on a slow line: one call is enough, though one reading is not."""

from __future__ import annotations

import io
import json
from functools import partial

import pytest

from cardio.card.runner import on_card
from cardio.cli.main import build_parser
from cardio.cli.output import Output
from cardio.errors import ReaderTimeoutError
from simulators.card.base import AnyCard
from simulators.card.faults import FaultyCard
from simulators.personas.persona import find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.unit.cardio.card.test_slow_cards import Waiting


@pytest.fixture
def slow_reader(monkeypatch: pytest.MonkeyPatch) -> SoftwareReader:
    """A card of a family that nothing is known of, twenty-seven commands away; twelve fit into one reading."""
    waiting = Waiting(0.1)

    def fault(card: AnyCard, command: bytes) -> bytes:
        waiting.pass_by()
        return card.transmit(command)

    reader = SoftwareReader("r", FaultyCard(find_persona("field").card(), fault))
    monkeypatch.setattr("cardio.cli.reader_selection.find_reader", lambda *wanted: reader)

    def in_little_time(*arguments: object, **named: object) -> object:
        return partial(on_card, *arguments)(**(named | {"seconds": 1.25}))  # type: ignore[arg-type]

    monkeypatch.setattr("cardio.card.runner.on_card", in_little_time)
    return reader


def read_basic() -> tuple[int, str, str]:
    """``cardio read --basic --json`` in this process: exit status, what went out, and what was said beside."""
    out, err = io.StringIO(), io.StringIO()
    options = build_parser().parse_args(["read", "--basic", "--json"])
    return options.run(options, Output(as_json=True, stdout=out, stderr=err)), out.getvalue(), err.getvalue()


def test_it_goes_on_by_itself_and_says_so(slow_reader: SoftwareReader) -> None:
    status, out, err = read_basic()
    assert status == 0 and json.loads(out)["holder"]["name"] == "测试庚"
    assert "不要取出卡片" in err


def test_a_card_that_gives_nothing_more_is_not_asked_again(slow_reader: SoftwareReader) -> None:
    slow_reader.insert(FaultyCard(find_persona("field").card(), lambda card, command: Waiting(2.0).then(b"\x6f\x00")))
    with pytest.raises(ReaderTimeoutError):
        read_basic()
