"""The audit log as a file: what was changed, dropped, moved or cut off afterwards is named."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from cardio.errors import UsageError
from service.audit_log import AuditEntry, AuditLog, Finding, Problem, Verification
from service.errors import AuditUnavailableError

ENTRIES = 12
KEY = "A test's key, which nobody else has. 1234567"


def entry(number: int) -> AuditEntry:
    """Each word stands in this entry only, so that its place in the file can be found."""
    return AuditEntry(
        time=f"2026-11-27T08:00:{number:02}.000+00:00", origin=f"https://his{number:02}.example",
        grant=f"grant{number:02}", action=f"GET /v1/readers/{{reader}}/card{number:02}", target=f"DF{number:02}/EF06",
        reader=f"读卡器{number:02}", card_session=f"session{number:02}", card=f"{number:02}" * 8,
        outcome=f"outcome{number:02}", request_id=f"request{number:02}",
    )  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of twelve entries, closed."""
    made = tmp_path / "audit.sqlite"
    key = made.with_suffix(".key")
    key.touch(0o600)
    key.write_text(KEY)
    log = AuditLog(made)
    for number in range(1, ENTRIES + 1):
        assert log.append(entry(number)) == number
    log.close()
    return made


def verified(path: Path, anchor: str | None = None) -> Verification:
    log = AuditLog(path)
    try:
        return log.verify(anchor)
    finally:
        log.close()


def found(path: Path, anchor: str | None = None) -> list[tuple[str, int, int]]:
    return [(one.problem.value, one.first, one.last) for one in verified(path, anchor).findings]


def tamper(path: Path, *statements: str, number: int = 0) -> None:
    """What somebody does who may write the file: triggers are no hindrance to them."""
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER entry_stays")
        database.execute("DROP TRIGGER entry_stays_as_it_is")
        for statement in statements:
            database.execute(statement, {"number": number})
    database.close()


def test_as_it_was_written_nothing_is_found(path: Path) -> None:
    result = verified(path)
    assert (result.entries, result.findings) == (ENTRIES, ())
    log = AuditLog(path)
    assert [one.entry for one in log.entries()] == [entry(number) for number in range(1, ENTRIES + 1)]
    assert [one.number for one in log.entries(last=2)] == [11, 12]
    assert [one.number for one in log.entries(card="07" * 8)] == [7]
    log.close()


def test_the_chain_is_what_the_documentation_says(tmp_path: Path) -> None:
    """Both computed with openssl, as docs/audit.md has it."""
    key = tmp_path / "audit.key"
    key.touch(0o600)
    key.write_text(KEY + "\n")
    log = AuditLog(tmp_path / "audit.sqlite")
    log.append(AuditEntry("2026-11-27T08:00:00.000+00:00", "local", "local", "bridge-started", target="0.1.0"))
    chain = "71116aa0848f53593ba93fbc9c2255b143c2be563df1a1f44b140e89b89dacbc"
    assert log.verify().anchor == f"1:{chain}"
    assert chain in (Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8")
    assert log.mark(bytes.fromhex("3132")) == "b3605ecfe29e1b4b"
    log.close()


WORDS = ["2026-11-27T08:00:07", "https://his07", "grant07", "card07", "DF07", "读卡器07", "session07", "07" * 8,
         "outcome07", "request07"]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_flipped_bit_names_the_entry(path: Path, word: str, bit: int) -> None:
    content = bytearray(path.read_bytes())
    # The card's mark stands in the index too; the entry itself stands at the end of the file's page of entries.
    at = content.index(word.encode() if word != "07" * 8 else b"session07") + (9 if word == "07" * 8 else 0)
    content[at] ^= bit
    path.write_bytes(content)
    assert found(path) == [("changed", 7, 7)]


def test_no_flipped_byte_goes_unseen(path: Path) -> None:
    """Wherever it is: what is told afterwards is what was written, or something is found, or it is no log any more."""
    content = path.read_bytes()
    written = [entry(number) for number in range(1, ENTRIES + 1)]
    seen = 0
    for at in range(0, len(content), 13):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :])
        try:
            log = AuditLog(path)
            try:
                findings, told = log.verify().findings, [one.entry for one in log.entries()]
            finally:
                log.close()
        except AuditUnavailableError:
            seen += 1
            continue
        assert findings or told == written, at
        seen += bool(findings)
    assert seen > 50, "some of them matter"


@pytest.mark.parametrize("gone", [1, 6, 11])
def test_a_dropped_entry_is_named(path: Path, gone: int) -> None:
    tamper(path, "DELETE FROM entry WHERE number = :number", number=gone)
    assert found(path) == [("missing", gone, gone)]


def test_a_cut_off_end_is_named_and_stays_so(path: Path) -> None:
    tamper(path, "DELETE FROM entry WHERE number > 9")
    assert found(path) == [("missing", 10, 12)]
    log = AuditLog(path)
    assert log.append(entry(14)) == 14
    log.close()
    # 13 is the bridge's own: it saw that the end was not as it had left it.
    assert found(path) == [("missing", 10, 12), ("broken-before", 13, 13)]


def test_an_end_cut_off_with_its_head_is_named_once_the_bridge_goes_on(path: Path) -> None:
    tamper(
        path,
        "DELETE FROM entry WHERE number > 9",
        "UPDATE head SET number = 9, chain = (SELECT chain FROM entry WHERE number = 9)",
    )
    assert found(path) == [("head-changed", 9, 9)]
    log = AuditLog(path)
    log.append(entry(11))
    log.close()
    assert found(path) == [("broken-before", 10, 10)]


def test_swapped_entries_are_named(path: Path) -> None:
    """With all that they say, and with the hashes staying where they were."""
    swap = [
        f"UPDATE entry SET {column} = (SELECT {column} FROM kept WHERE number = 13 - entry.number)"  # noqa: S608
        " WHERE number IN (4, 9)"
        for column in (field.name for field in fields(AuditEntry))
    ]
    tamper(path, "CREATE TABLE kept AS SELECT * FROM entry", *swap)
    assert found(path) == [("changed", 4, 4), ("changed", 9, 9)]


def test_entries_that_change_their_numbers_are_named(path: Path) -> None:
    tamper(
        path,
        "UPDATE entry SET number = -1 WHERE number = 4",
        "UPDATE entry SET number = 4 WHERE number = 9",
        "UPDATE entry SET number = 9 WHERE number = -1",
    )
    assert {number for problem, first, last in found(path) for number in range(first, last + 1)} >= {4, 9}


def test_an_entry_of_somebody_elses_is_named(path: Path) -> None:
    tamper(path, "INSERT INTO entry VALUES (13, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x')")
    assert found(path) == [("changed", 13, 13), ("head-changed", 13, 13)]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM head", ("head-missing", 12, 12)),
        ("UPDATE head SET number = 13", ("head-changed", 12, 12)),
        ("UPDATE head SET seal = 'x'", ("head-changed", 12, 12)),
    ],
)
def test_the_head_is_sealed(path: Path, statement: str, problem: tuple[str, int, int]) -> None:
    tamper(path, statement)
    assert found(path) == [problem]
    log = AuditLog(path)
    assert log.append(entry(14)) == 14
    log.close()
    assert found(path) == [("broken-before", 13, 13)]


def test_an_anchor_shows_that_an_older_copy_was_put_back(path: Path) -> None:
    older = path.read_bytes()
    log = AuditLog(path)
    log.append(entry(13))
    anchor = log.verify().anchor
    assert log.verify(anchor).findings == ()
    log.close()
    for one in path.parent.glob("audit.sqlite*"):
        one.unlink()
    path.write_bytes(older)
    path.chmod(0o600)
    assert found(path) == [], "by itself it is whole"
    assert found(path, anchor) == [("missing", 13, 13)]
    log = AuditLog(path)
    log.append(entry(14))
    log.close()
    assert found(path, anchor) == [("other-than-noted", 13, 13)]


@pytest.mark.parametrize("anchor", ["", "12", "12:", ":aa", "x:aa", "-1:aa", "9" * 30 + ":aa"])
def test_what_is_no_anchor(path: Path, anchor: str) -> None:
    with pytest.raises(UsageError):
        verified(path, anchor)


def test_with_another_key_nothing_fits(path: Path) -> None:
    path.with_suffix(".key").write_text("another key, forty characters and more....")
    assert verified(path).findings == (
        Finding(Problem.CHANGED, 1, ENTRIES),
        Finding(Problem.HEAD_CHANGED, ENTRIES, ENTRIES),
    )


def test_entries_are_only_added(path: Path) -> None:
    database = sqlite3.connect(path)
    for statement in ("DELETE FROM entry", "UPDATE entry SET outcome = 'ok'", "DELETE FROM entry WHERE number = 12"):
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            database.execute(statement)
    database.close()


def test_the_file_is_its_owners(path: Path) -> None:
    log = AuditLog(path)
    log.append(entry(13))
    for one in path.parent.glob("audit.*"):
        assert stat.S_IMODE(one.stat().st_mode) == 0o600, one
    log.close()


APPEND = """
import sys
from pathlib import Path
from service.audit_log import AuditEntry, AuditLog
log = AuditLog(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    while True:
        try:
            log.append(AuditEntry("now", "local", "local", f"{sys.argv[3]} {number}"))
            break
        except Exception:
            pass
    print(number, flush=True)
"""


@pytest.fixture
def writers(path: Path) -> Iterator[Callable[[int, str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(entries: int, name: str) -> subprocess.Popen[str]:
        program = [sys.executable, "-c", APPEND, str(path), str(entries), name]
        started.append(subprocess.Popen(program, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_several_bridges_write_one_chain(path: Path, writers: Callable[[int, str], subprocess.Popen[str]]) -> None:
    both = [writers(100, name) for name in "ab"]
    for one in both:
        one.communicate(timeout=60)
        assert one.returncode == 0
    assert verified(path).entries == ENTRIES + 200 and found(path) == []


def test_a_bridge_that_is_killed_leaves_a_whole_log(
    path: Path, writers: Callable[[int, str], subprocess.Popen[str]]
) -> None:
    for name in "abcde":
        writer = writers(100_000, name)
        assert writer.stdout is not None
        for _ in range(20):
            told = int(writer.stdout.readline())
        writer.kill()
        writer.wait()
        told = max([told, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        log = AuditLog(path)
        kept = [one.entry.action for one in log.entries()]
        assert log.verify().findings == ()
        assert f"{name} {told}" in kept, "what it had written is there"
        log.close()


def test_whoever_reads_holds_up_nobody_who_writes(path: Path) -> None:
    reading, writing = AuditLog(path), AuditLog(path)
    with reading._file.snapshot() as database:  # as `verify` does, in the middle of it
        database.execute("SELECT * FROM entry").fetchone()
        began = time.monotonic()
        assert writing.append(entry(13)) == 13
        assert time.monotonic() - began < 5
    assert reading.verify().entries == 13
    reading.close()
    writing.close()
