"""Windows' tables of connections, written by hand after Microsoft's documentation of the structures."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from service.gate import windows_peers
from service.gate.peers import Peer, Peers
from service.gate.port_holder import port_holder
from service.gate.windows_peers import TcpRow, find_peer, is_same_user_on_windows, parse_table, port_holder_on_windows

# MIB_TCPROW_OWNER_PID: state, local address, local port, remote address, remote port, process; little-endian words,
# addresses and the low half of ports in the network's order. 127.0.0.1:40000 (9C40) to 127.0.0.1:12342 (3036).
CLIENT = "050000007F0000019C4000007F0000013036000067120000"
SERVER = "050000007F000001303600007F0000019C400000D2040000"
LISTENER = "0200000000000000303600000000000000000000D2040000"
TABLE = bytes.fromhex("03000000" + LISTENER + SERVER + CLIENT)
ONE_SIX = "00000000000000000000000000000001"
# MIB_TCP6ROW_OWNER_PID: local address, scope, port, remote address, scope, port, state, process.
TABLE_6 = bytes.fromhex("01000000" + ONE_SIX + "000000009C400000" + ONE_SIX + "0000000030360000050000002A000000")
ENDS = ("127.0.0.1", 40000), ("127.0.0.1", 12342)


def test_rows_are_read_as_they_are_written() -> None:
    loopback = bytes([127, 0, 0, 1])
    assert parse_table(TABLE, six=False) == [
        TcpRow((bytes(4), 12342), (bytes(4), 0), True, 1234),
        TcpRow((loopback, 12342), (loopback, 40000), False, 1234),
        TcpRow((loopback, 40000), (loopback, 12342), False, 4711),
    ]
    (row,) = parse_table(TABLE_6, six=True)
    assert (row.local, row.remote, row.pid) == ((bytes(15) + b"\x01", 40000), (bytes(15) + b"\x01", 12342), 42)


def test_the_other_end_is_found_and_not_our_own() -> None:
    assert find_peer(parse_table(TABLE, six=False), *ENDS) == 4711
    assert find_peer(parse_table(TABLE_6, six=True), ("::1", 40000), ("::1", 12342)) == 42
    for client in (("127.0.0.1", 40001), ("127.0.0.2", 40000), ("0.0.0.0", 40000)):
        assert find_peer(parse_table(TABLE, six=False), client, ENDS[1]) is None


@pytest.mark.parametrize("cut", [0, 3, 4, 5, 27, 28, 51, 75])
def test_a_table_that_is_cut_short_gives_its_whole_rows(cut: int) -> None:
    assert parse_table(TABLE[:cut], six=False) == parse_table(TABLE, six=False)[: max(0, (cut - 4) // 24)]
    assert parse_table(b"\xff\xff\xff\xff" + TABLE[4:], six=False) == parse_table(TABLE, six=False)


@pytest.mark.parametrize(
    ("users", "same"),
    [
        ({None: b"S-me", 4711: b"S-me"}, True),
        ({None: b"S-me", 4711: b"S-other"}, False),
        ({None: b"S-me", 4711: None}, False),
        ({None: None, 4711: None}, False),
    ],
)
def test_the_same_user_is_who_has_the_same_identifier(
    users: dict[int | None, bytes | None], same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows_peers, "_read_table", lambda *, six: parse_table(TABLE, six=False))
    monkeypatch.setattr(windows_peers, "_user_of", users.__getitem__)
    assert is_same_user_on_windows(*ENDS) is same
    assert not is_same_user_on_windows(("127.0.0.1", 1), ENDS[1]), "no program is there"
    monkeypatch.setattr(windows_peers, "_program_of", {1234: "reader.exe"}.__getitem__)
    holder = port_holder_on_windows(12342)
    assert holder is not None and holder.words == "reader.exe (PID 1234)"
    assert port_holder_on_windows(50150) is None


def test_whatever_windows_does_not_tell_counts_as_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here there is no Windows at all: every call of it fails, and none of that is an error of ours."""
    assert not hasattr(sys, "getwindowsversion")
    assert not is_same_user_on_windows(*ENDS) and port_holder_on_windows(12342) is None


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
def test_no_system_ends_in_an_error(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Windows where /proc/net/tcp can be read, and os.getuid is missing, is one that was met."""
    monkeypatch.setattr(sys, "platform", platform)
    if platform == "win32":
        monkeypatch.delattr("os.getuid")
    ends: Any = ENDS
    assert asyncio.run(Peers().identify(ends[0], ends[1], None)) == Peer(None, is_believed=False)
    assert port_holder(1) is None
