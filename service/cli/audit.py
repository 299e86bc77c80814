"""The command ``cardio audit``: it lists the actions with cards, and checks that the log is unchanged.

It reads the log's file itself.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.colour import Colour
from cardio.cli.command import DONE, Command, add_reader_argument
from cardio.cli.output import Output

if TYPE_CHECKING:
    from service.audit.chain import TamperFinding
    from service.audit.log import AuditLog

_TOUCHED = 1
_MOST = 1_000_000
_PROBLEMS = {
    "changed": ("内容被改动", "was changed"),
    "missing": ("缺失", "is missing"),
    "unproven": ("前面有缺失，无法证明未被改动", "follows a gap: it cannot be proved unchanged"),
    "moved": ("位置被改动", "is not in its place"),
    "broken-before": (
        "服务当时已发现此前的记录被改动",
        "the bridge found at that time that earlier entries were changed",
    ),
    "head-changed": ("日志末尾的封记被改动", "the seal of the log's end was changed"),
    "head-missing": ("日志末尾的封记缺失", "the seal of the log's end is missing"),
    "schema-changed": ("日志的结构被改动", "the structure of the log was changed"),
    "other-than-noted": ("与当时记下的锚点不符", "is not the entry of the noted anchor"),
}


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "verify"),
        help="列出记录；核对全部记录 / list entries; check all of them",
    )
    parser.add_argument("--last", type=int, default=50, metavar="N", help="最后 N 条，默认 50 / the last N; default 50")
    parser.add_argument("--card", metavar="MARK", help="只列该卡（记录中的卡标记） / only this card's, by its mark")
    parser.add_argument(
        "--this-card", action="store_true", help="只列读卡器中这张卡的 / only those of the card that is in the reader"
    )
    parser.add_argument(
        "--anchor", metavar="N:HASH", help="核对时比照以前记下的锚点 / compare with the anchor of an earlier verify"
    )
    add_reader_argument(parser)
    parser.add_argument("--file", type=Path, metavar="FILE", help="另一份日志 / another log; its .key beside it")


def _run(options: Namespace, output: Output) -> int:
    from service.audit.log import AuditLog

    log = AuditLog(_existing(options.file), read_only=True)
    try:
        return _verify(log, options, output) if options.action == "verify" else _list(log, options, output)
    finally:
        log.close()


def _existing(named: Path | None) -> Path:
    """Return the path of the log. A search for a log makes none.

    Raises:
        ConfigurationError: there is no log there.
    """
    from cardio.errors import ConfigurationError
    from service.settings import BridgeSettings

    path = named or BridgeSettings.load().audit_path
    if path is None:
        raise ConfigurationError(
            "设置中关闭了审计日志（audit = false）", "the settings have no audit log (audit = false)"
        )
    for part in (path, path.with_suffix(".key")):
        if not part.is_file():
            raise ConfigurationError(f"没有文件 {part}", f"there is no file {part}")
    return path


def _list(log: AuditLog, options: Namespace, output: Output) -> int:
    from dataclasses import asdict

    from cardio.card.runner import on_card
    from cardio.cli.reader_selection import find_reader

    card = options.card
    if options.this_card:
        card = log.chain.mark(on_card(find_reader(options.reader), lambda found: found.identity))
    last = min(max(0, options.last), _MOST)
    if output.as_json:
        entries = log.entries(last=last, card=card)
        output.document_of("entries", ({"number": one.number, **asdict(one.entry)} for one in entries))
        return DONE

    def rows() -> Iterator[list[str]]:
        yield list(
            output.titles(
                "序号 number", "时间 time", "来源 origin", "事项 action",
                "对象 target", "读卡器 reader", "卡 card", "结果 outcome",
            )
        )  # fmt: skip
        for one in log.entries(last=last, card=card):
            cells = (
                str(one.number), _here(one.entry.time), one.entry.origin, one.entry.action, one.entry.target or "-",
                one.entry.reader or "-", one.entry.card or "-", one.entry.outcome,
            )  # fmt: skip
            yield [_fit(cell) for cell in cells]

    output.long_table(rows, head=True)
    return DONE


def _fit(text: str) -> str:
    """Return the text without characters that move the cursor or reorder the line: a damaged log may hold anything."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def _here(time: str) -> str:
    """Return a time in the local time zone; a text that is no time, as in a damaged log, stays."""
    from datetime import datetime

    try:
        return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return time


def _verify(log: AuditLog, options: Namespace, output: Output) -> int:
    found = log.verify(options.anchor, output.progress("核对审计日志", "checking the audit log"))
    if output.as_json:
        findings = [{"problem": one.problem, "first": one.first, "last": one.last} for one in found.findings]
        output.document({"entries": found.entries, "anchor": str(found.anchor), "findings": findings})
        return _TOUCHED if findings else DONE
    for one in found.findings:
        output.text(*_sentence(one))
    if found.findings:
        said = output.words(
            "审计日志被改动，请保全文件并报告", "the audit log was changed: keep the files and report it"
        )
        output.text(said, colour=Colour.BAD)
        return _TOUCHED
    said = output.words(f"{found.entries} 条记录，全部完好", f"entries, all as they were written: {found.entries}")
    output.text(said, colour=Colour.GOOD)
    output.text(f"{output.label('锚点', 'anchor')}: {found.anchor}")
    return DONE


def _sentence(finding: TamperFinding) -> tuple[str, str]:
    zh, en = _PROBLEMS[finding.problem]
    if not finding.last:
        return zh, en
    if finding.first == finding.last:
        return f"第 {finding.first} 条：{zh}", f"entry {finding.first}: {en}"
    return f"第 {finding.first} 至 {finding.last} 条：{zh}", f"entries {finding.first} to {finding.last}: {en}"


audit_command = Command(
    name="audit",
    help="审计日志：谁读了哪张卡，日志是否被改动 / the audit log: who did what, and whether it was changed",
    examples=(
        "  cardio audit --last 20\n"
        "  cardio audit --this-card                         读卡器中这张卡被谁读过 / who has read this card\n"
        "  cardio audit verify\n"
        "  cardio audit verify --anchor 1234:9f3a…          比照以前记下的锚点 / against an anchor noted before"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
