import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardio.apdu.tlv import DEPTH_LIMIT, NODE_LIMIT, BerTlv, Record, parse_ber_tlv, split_records
from cardio.errors import CardGarbledError


def test_nested_objects_and_long_tags() -> None:
    (template,) = parse_ber_tlv(bytes.fromhex("6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860101"))
    assert [node.tag for node in template.walk()] == [0x6F, 0x84, 0xA5, 0x88, 0x9F0C]
    found = template.find(0x9F0C)
    assert found is not None and found.value == bytes.fromhex("860101")


def test_long_lengths_and_padding() -> None:
    assert parse_ber_tlv(bytes.fromhex("0080818100") + bytes(0x80))[0].value == b"\x00" + bytes(0x80)
    assert parse_ber_tlv(bytes.fromhex("808200020102")) == (BerTlv(0x80, b"\x01\x02"),)


@pytest.mark.parametrize("raw", ["80", "8005AABB", "9F", "9F8181810100", "8080", "8084000000", "6F038005AA"])
def test_lengths_that_lie_are_garbled(raw: str) -> None:
    with pytest.raises(CardGarbledError):
        parse_ber_tlv(bytes.fromhex(raw))


def test_depth_and_number_of_objects_are_limited() -> None:
    def nested(depth: int) -> bytes:
        return bytes(BerTlv(0x6F, nested(depth - 1))) if depth else b""

    assert parse_ber_tlv(nested(DEPTH_LIMIT))
    with pytest.raises(CardGarbledError):
        parse_ber_tlv(nested(DEPTH_LIMIT + 1))
    assert len(parse_ber_tlv(b"\x80\x00" * NODE_LIMIT)) == NODE_LIMIT
    with pytest.raises(CardGarbledError):
        parse_ber_tlv(b"\x80\x00" * (NODE_LIMIT + 1))


@given(st.binary(max_size=300))
def test_any_bytes_give_objects_or_our_error(raw: bytes) -> None:
    try:
        parse_ber_tlv(raw)
    except CardGarbledError:
        pass


@given(st.lists(st.tuples(st.integers(1, 0xFE), st.binary(max_size=80)), max_size=8))
def test_records_come_back_and_a_cut_one_is_left_over(pairs: list[tuple[int, bytes]]) -> None:
    records = [Record(tag, value) for tag, value in pairs]
    whole = b"".join(bytes(record) for record in records)
    assert split_records(whole) == (records, b"")
    for cut in range(1, 2 + len(records[-1].value) if records else 0):
        assert split_records(whole[:-cut])[0] == records[:-1]
        assert split_records(whole[:-cut])[1] != b""


def test_one_record_and_nothing_else() -> None:
    assert Record.from_bytes(bytes.fromhex("020133")) == Record(0x02, b"3")
    for raw in ("", "02", "0202 33", "020133 00"):
        with pytest.raises(CardGarbledError):
            Record.from_bytes(bytes.fromhex(raw))
