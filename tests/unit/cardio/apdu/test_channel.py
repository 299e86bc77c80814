"""The channel against transcripts: exact bytes, both ways."""

from itertools import count

import pytest

from cardio.apdu.channel import GET_RESPONSE_LIMIT, Channel, Counts, Flow, TransmissionProtocol
from cardio.apdu.command import CommandApdu
from cardio.apdu.trace import Exchange, TraceLog
from cardio.apdu.transcript import Transcript
from cardio.errors import CardGarbledError, ReaderTimeoutError, UsageError

SELECT = CommandApdu(0x00, 0xA4, 0x04, 0x00, b"\xaa\xbb")
READ = CommandApdu(0x00, 0xB2, 0x01, 0x04, expected_length=256)


def test_61_is_left_alone_when_no_data_is_wanted() -> None:
    card = Transcript([("00A4040002AABB", "6118")])
    response = Channel(card).transmit(SELECT)
    assert (response.status_word, response.data) == (0x6118, b"")
    assert card.finished


def test_61_is_followed_when_data_is_wanted_and_t0_leaves_le_at_home() -> None:
    card = Transcript([("00A4040002AABB", "6103"), ("00C0000003", "0102 6101"), ("00C0000001", "03 9000")])
    channel = Channel(card)
    response = channel.transmit(SELECT.with_expected_length(256))
    assert (response.data, response.status_word) == (b"\x01\x02\x03", 0x9000)
    # 5+1+2+2, 5+1+2+2, 5+1+1+2 characters
    assert channel.counts == Counts(commands=3, characters=10 + 10 + 9, refused=0)


def test_t1_sends_le_with_the_data() -> None:
    card = Transcript([("00A4040002AABB00", "6F00 9000")], TransmissionProtocol.T1)
    assert Channel(card).transmit(SELECT.with_expected_length(256)).data == b"\x6f\x00"


def test_6c_is_followed_once_with_the_right_length() -> None:
    card = Transcript([("00B2010400", "6C12"), ("00B2010412", "AA" * 18 + "9000")])
    channel = Channel(card)
    assert channel.transmit(READ).data == b"\xaa" * 18
    assert channel.counts == Counts(commands=2, characters=7 + 26, refused=1)


@pytest.mark.parametrize(
    "exchanges",
    [
        [("00B2010400", "6C00")],
        [("00B2010400", "6C12"), ("00B2010412", "6C13")],
        [("00B2010400", "6110"), ("00C0000010", "6110")],
        [("00B2010400", "6110"), ("00C0000010", "9000")],
        [("00B2010400", "6110"), ("00C0000010", "6C08"), ("00C0000008", "6C10")],
        [("00B2010400", "90")],
    ],
)
def test_a_card_that_plays_with_lengths_is_garbled(exchanges: list[tuple[str, str]]) -> None:
    card = Transcript(exchanges)
    with pytest.raises(CardGarbledError):
        Channel(card).transmit(READ)
    assert card.finished


class _Endless:
    protocol = TransmissionProtocol.T0

    def __init__(self, answers: int) -> None:
        self.left = answers
        self.commands = 0

    def transmit(self, command: bytes) -> bytes:
        self.commands += 1
        self.left -= 1
        return b"\x00\x61\x01" if self.left else b"\x00\x90\x00"


def test_get_response_stops_at_its_limit_and_not_before() -> None:
    # The answer to the command itself, and then as many GET RESPONSE as are allowed.
    assert len(Channel(_Endless(GET_RESPONSE_LIMIT + 1)).transmit(READ).data) == GET_RESPONSE_LIMIT + 1
    endless = _Endless(GET_RESPONSE_LIMIT + 2)
    with pytest.raises(CardGarbledError):
        Channel(endless).transmit(READ)
    assert endless.commands == GET_RESPONSE_LIMIT + 1


def test_an_answer_longer_than_any_is_garbled() -> None:
    class Flood:
        protocol = TransmissionProtocol.T0

        def transmit(self, command: bytes) -> bytes:
            return bytes(65537) + b"\x90\x00"

    with pytest.raises(CardGarbledError):
        Channel(Flood()).transmit(READ)


def test_a_wrong_length_amid_get_response_is_put_right_once() -> None:
    card = Transcript([("00B2010400", "6110"), ("00C0000010", "6C02"), ("00C0000002", "AABB 9000")])
    assert Channel(card).transmit(READ).data == b"\xaa\xbb"


def test_a_plan_may_go_on_after_an_answer_that_makes_no_sense() -> None:
    def plan() -> Flow[int]:
        try:
            yield READ
        except CardGarbledError:
            return (yield SELECT).status_word
        return 0

    card = Transcript([("00B2010400", "90"), ("00A4040002AABB", "9000")])
    assert Channel(card).run(plan()) == 0x9000


def test_a_conversation_has_an_end_in_time() -> None:
    seconds = count(0.0, 6.0)
    card = Transcript([("00B2010400", "9000")])
    channel = Channel(card, seconds=10.0, clock=lambda: next(seconds))
    channel.transmit(READ)
    with pytest.raises(ReaderTimeoutError):
        channel.transmit(READ)


def test_every_exchange_is_traced_without_its_data() -> None:
    log = TraceLog()
    Channel(Transcript([("00A4040002AABB", "414243 9000")]), trace=log).transmit(SELECT)
    (exchange,) = log.exchanges
    assert (exchange.command, exchange.response) == (bytes.fromhex("00A4040002AABB"), bytes.fromhex("4142439000"))
    assert "AABB" not in exchange.line()
    assert "414243" not in repr(exchange)
    assert "00A4040002AABB -> 414243 9000 成功" in exchange.line(with_data=True)


def test_a_garbled_answer_is_traced_too() -> None:
    assert Exchange(b"\x00\xb2\x01\x04\x00", b"\x90", 0.001).line() == "00B2010400 -> 0B 90 ? 1.0ms"


def test_extended_commands_do_not_go_over_t0() -> None:
    with pytest.raises(UsageError):
        Channel(Transcript([])).transmit(CommandApdu(0, 0xD6, 0, 0, bytes(300), 1, extended=True))


def test_a_plan_runs_to_its_result() -> None:
    def plan() -> Flow[tuple[int, int]]:
        first = yield READ
        second = yield SELECT
        return first.status_word, second.status_word

    card = Transcript([("00B2010400", "6A83"), ("00A4040002AABB", "9000")])
    assert Channel(card).run(plan()) == (0x6A83, 0x9000)
