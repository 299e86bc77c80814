"""The commands of ``cardio debits`` for the file: ``verify``, ``backup``, ``restore``, ``restored``, ``archive``.

The module also shows stored files. If a bridge runs, the command asks it, because it has the journal. Otherwise the
command uses the file itself, under the same lock.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardio.cli.colour import Colour
from cardio.cli.command import DONE
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.client import BridgeClient
    from service.debits.journal_file.backup import StoredJournal
    from service.debits.journal_file.verification import JournalVerification
    from service.debits.provider import JournalProvider

_TOUCHED = 1
_NOT_DECIDED = 1
_MOST_LISTED = 500
_CHECKING = ("核对扣款记录", "checking the journal")
_ROWS = {
    "changed": ("记录被改动", "was changed from outside"),
    "older-state": ("被改回较早的状态", "was put back to an earlier state"),
    "inserted": ("记录是从外部加入的", "was put in from outside"),
    "removed": ("记录被删除", "was removed"),
    "key-changed": ("与其 Idempotency-Key 的对应关系被改动", "is not named by its key any more"),
}
_STEPS = {
    "changed": ("内容被改动", "was changed"),
    "missing": ("缺失", "is missing"),
    "unproven": ("前面有缺失，无法证明未被改动", "follows a gap: it cannot be proved unchanged"),
    "moved": ("位置被改动", "is not in its place"),
    "head-changed": ("扣款记录末尾的封记被改动", "the seal of the journal's end was changed"),
    "head-missing": ("扣款记录末尾的封记缺失", "the seal of the journal's end is missing"),
    "schema-changed": ("扣款记录的结构被改动", "the structure of the journal was changed"),
    "other-than-noted": ("与当时记下的锚点不符", "is not the entry of the noted anchor"),
}


def run_on_file(options: Namespace, output: Output) -> int:
    """Run one of the commands.

    Raises:
        CardioError: the command fails.
    """
    match options.action:
        case "verify":
            return _verify(options, output)
        case "backup":
            return _backup(options, output)
        case "restore":
            return _restore(options, output)
        case "archive":
            return _archive(options, output)
    return _accept(options, output)


def listed_in_file(path: Path, *, all_states: bool) -> dict[str, Any]:
    """Return the debits in a stored file in the form of the bridge's list.

    In a complete archive all debits are over.
    """
    from cardio.debits.record import DebitList
    from service.debits.journal_file.records import JournalRecords

    with _stored(path) as stored:
        found = JournalRecords(stored.reading, stored.chain).list_debits(
            None, all_states=all_states, limit=_MOST_LISTED + 1
        )
    return DebitList(debits=tuple(found[:_MOST_LISTED]), more=len(found) > _MOST_LISTED).model_dump(mode="json")


def shown_in_file(path: Path, debit_id: str) -> dict[str, Any]:
    """Return one debit of a stored file.

    Raises:
        NoSuchDebitError: there is no such debit in the file.
    """
    from service.debits.errors import NoSuchDebitError
    from service.debits.journal_file.records import JournalRecords

    with _stored(path) as stored:
        found = JournalRecords(stored.reading, stored.chain).record(debit_id)
    if found is None:
        raise NoSuchDebitError()
    return found.model_dump(mode="json")


@contextmanager
def _stored(path: Path) -> Iterator[StoredJournal]:
    from service.debits.journal_file.backup import StoredJournal

    stored = StoredJournal(path, _journal_path().with_suffix(".key"))
    try:
        yield stored
    finally:
        stored.close()


def _journal_path() -> Path:
    from service.settings import BridgeSettings

    return BridgeSettings.load().journal_path


# -- verify ---------------------------------------------------------------------------------------


def _verify(options: Namespace, output: Output) -> int:
    path = options.file or (Path(options.which) if options.which else _journal_path())
    with _stored(path) as stored:
        found = stored.verify(options.anchor, output.progress(*_CHECKING))
    return _print_result(path, found, output)


def _print_result(path: Path, found: JournalVerification, output: Output) -> int:
    if output.as_json:
        findings: list[dict[str, Any]] = [{"problem": one.problem, "debit": one.debit} for one in found.rows]
        findings += [{"problem": one.problem, "first": one.first, "last": one.last} for one in found.chain]
        output.document(
            {
                "file": str(path),
                "debits": found.debits,
                "steps": found.steps,
                "anchor": str(found.anchor),
                "findings": findings,
            }
        )
        return DONE if found.is_whole else _TOUCHED
    for row in found.rows:
        zh, en = _ROWS[row.problem]
        output.text(f"消费 {printable(row.debit)}：{zh}", f"debit {printable(row.debit)}: {en}")
    for one in found.chain:
        zh, en = _STEPS[one.problem]
        if not one.last:
            output.text(zh, en)
        elif one.first == one.last:
            output.text(f"第 {one.first} 步：{zh}", f"step {one.first}: {en}")
        else:
            output.text(f"第 {one.first} 至 {one.last} 步：{zh}", f"steps {one.first} to {one.last}: {en}")
    if not found.is_whole:
        touched = output.words(
            "扣款记录被改动，请保全文件并报告", "the journal was changed: keep the files and report it"
        )
        output.text(touched, colour=Colour.BAD)
        return _TOUCHED
    output.text(
        f"{found.debits} 笔消费、{found.steps} 步，全部完好",
        f"all as they were written: {found.debits} debits, {found.steps} steps",
        colour=Colour.GOOD,
    )
    output.text(f"{output.label('锚点', 'anchor')}: {found.anchor}")
    return DONE


def printable(text: str) -> str:
    """Return the text without characters that move the cursor or reorder the line: a damaged file may hold anything."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


# -- backup, restore --------------------------------------------------------------------------------


def _backup(options: Namespace, output: Output) -> int:
    """Write a backup, read it again and check it; an incomplete one is removed."""
    from cardio.errors import CannotWriteError, UsageError
    from service.debits.journal_file.backup import new_private_file

    if not options.which:
        raise UsageError("cardio debits backup 缺少文件名", "cardio debits backup: into which file?")
    target = Path(options.which)
    if os.path.lexists(target):
        raise UsageError(f"{target} 已存在，不会覆盖", f"{target} is there already, and is not written over")
    handle = new_private_file(target)
    try:
        with os.fdopen(handle, "wb") as stream:
            _fill(options.address, target, stream)
            stream.flush()
            os.fsync(stream.fileno())
        with _stored(target) as stored:
            stored.require_readable()
            found = stored.verify(progress=output.progress(*_CHECKING))
    except OSError as error:
        _discard(target)
        raise CannotWriteError(f"无法写入 {target}：{error}", f"{target} cannot be written: {error}") from error
    except BaseException:  # any error, also an interruption: keep no incomplete backup
        _discard(target)
        raise
    status = _print_result(target, found, output)
    if not output.as_json:
        output.text(
            "备份含密钥，请与密钥同样保管；恢复用 cardio debits restore",
            "the backup has the key in it: keep it as you keep that; cardio debits restore puts it back",
        )
    return status


def _fill(address: str | None, target: Path, stream: Any) -> None:
    from cardio.client import BridgeNotRunningError

    try:
        with _bridge(address) as bridge:
            bridge.download("/v1/journal/backup", stream)
            return
    except BridgeNotRunningError:
        if address is not None:
            raise
    with _offline() as place:
        journal = place.open()
        journal.write_backup(target)


def _discard(target: Path) -> None:
    with suppress(OSError):
        target.unlink()


def _restore(options: Namespace, output: Output) -> int:
    from cardio.errors import UsageError
    from service.debits.journal_file.backup import install_backup

    if not options.which:
        raise UsageError("cardio debits restore 缺少备份文件", "cardio debits restore: which backup?")
    backup, path = Path(options.which), _journal_path()
    with _stored(backup) as stored:
        stored.require_readable()
        found = stored.verify(progress=output.progress(*_CHECKING))
        if not found.is_whole:
            _print_result(backup, found, output)
        install_backup(stored, path)
    if output.as_json:
        output.document({"file": str(path), "debits": found.debits})
    else:
        output.text(f"已恢复到 {path}，{found.debits} 笔消费", f"put back as {path}, {found.debits} debits")
        output.text(
            "备份之后的消费不在其中：请核对，再执行 cardio debits restored",
            "debits after the backup are not in it: look at what is missing, then cardio debits restored",
            colour=Colour.WARNING,
        )
    return DONE if found.is_whole else _TOUCHED


# -- restored, archive ------------------------------------------------------------------------------


def _accept(options: Namespace, output: Output) -> int:
    from cardio.client import BridgeNotRunningError

    try:
        with _bridge(options.address) as bridge:
            problem = bridge.get("/v1/journal")["problem"]
            if not _agreed(problem, options, output):
                return _NOT_DECIDED
            problem = bridge.post("/v1/journal/restored", {})["problem"]
    except BridgeNotRunningError:
        if options.address is not None:
            raise
        with _offline() as place:
            trouble = place.blocking_error()
            described = None if trouble is None else {"detail": trouble.detail, "detail_en": trouble.detail_en}
            if not _agreed(described, options, output):
                return _NOT_DECIDED
            place.accept()
            problem = None
    if output.as_json:
        output.document({"problem": problem})
    else:
        output.text("消费可以继续，以此扣款记录为准", "debits continue with this journal")
    return DONE


def _agreed(problem: dict[str, Any] | None, options: Namespace, output: Output) -> bool:
    """Show the reason why no debit begins, and ask the user: only the cards know what the journal has forgotten."""
    from cardio.cli.confirm import consents

    if problem is None:
        output.note("扣款记录没有问题，无须确认", "nothing is wrong with the journal")
        return True
    output.note(problem["detail"], problem["detail_en"])
    if options.yes or consents(output.label("以现有扣款记录为准继续消费？", "go on with the journal as it is?")):
        return True
    output.note("未确认", "nothing was decided")
    return False


def _archive(options: Namespace, output: Output) -> int:
    from datetime import datetime

    from cardio.client import BridgeNotRunningError
    from cardio.errors import UsageError

    try:
        before = datetime.fromisoformat(options.before or "").astimezone()
    except (ValueError, OverflowError, OSError):
        raise UsageError("请用 --before 给出日期，如 2026-01-01", "--before takes a date, such as 2026-01-01") from None
    made: dict[str, Any]
    try:
        with _bridge(options.address) as bridge:
            made = bridge.post("/v1/journal/archive", {"before": before.isoformat()}, seconds=None)
    except BridgeNotRunningError:
        if options.address is not None:
            raise
        with _offline() as place:
            archived = place.open().archive(before)
            made = {
                "file": None if archived.file is None else str(archived.file),
                "debits": archived.debits,
                "left_out": archived.left_out,
            }
    if output.as_json:
        output.document(made)
    elif made["file"] is None:
        output.text("没有可归档的消费", "nothing is old enough to be archived")
    else:
        output.text(f"已归档 {made['debits']} 笔：{made['file']}", f"archived: {made['debits']}, {made['file']}")
    if made["left_out"] and not output.as_json:
        output.text(
            f"{made['left_out']} 笔记录被改动，未归档（cardio debits verify）",
            f"left out, for they were changed from outside: {made['left_out']} (cardio debits verify)",
        )
    return _TOUCHED if made["left_out"] else DONE


@contextmanager
def _bridge(address: str | None) -> Iterator[BridgeClient]:
    from cardio.client import BridgeClient

    with BridgeClient.connect(address) as bridge:
        yield bridge


@contextmanager
def _offline() -> Iterator[JournalProvider]:
    """Yield the journal of the settings. If a bridge uses it, opening it fails."""
    from service.debits.journal_file.marks import external_mark_folder
    from service.debits.provider import JournalProvider

    place = JournalProvider(_journal_path(), external_mark_folder())
    try:
        yield place
    finally:
        place.close()
