"""The keeper's record: a keeper that no record names would hold its ports where no command can end it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.ports import keeper
from tests.pcsc import wait_until


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "keeper.json"
    yield path
    keeper.end_keeper(path)


def is_free(port: int) -> bool:
    try:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def test_a_keeper_holds_its_ports_until_it_is_ended(record: Path, port: int) -> None:
    made = keeper.keep_ports(record, [port])
    assert made is not None and made.ports == {port} and keeper.running_keeper(record) == made
    assert not is_free(port)
    assert keeper.end_keeper(record) == made
    wait_until(lambda: is_free(port), "the port is given back")
    assert keeper.running_keeper(record) is None


def test_a_keeper_whose_record_cannot_be_written_is_ended(
    record: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(keeper, "write_private", full)
    with pytest.raises(OSError, match="No space"):
        keeper.keep_ports(record, [port])
    wait_until(lambda: is_free(port), "the port is given back")
    assert not record.exists()
