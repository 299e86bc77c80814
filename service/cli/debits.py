"""The command ``cardio debits``: it shows the journal, books a debit, and resolves one with an unknown outcome.

`service.cli.journal` has its backups and archives.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardio.cli.colour import Colour
from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.client import BridgeClient

_NOT_DECIDED = 1
_OF_THE_FILE = ("verify", "backup", "restore", "restored", "archive")
_COMPARED = {
    "agrees": "一致 the card agrees",
    "contradicts": "不符 THE CARD CONTRADICTS",
    "not-told": "卡片未能证明 the card does not show it",
}
_OUTCOMES = {"done": "已扣款 taken", "none": "未扣款 nothing taken", "unknown": "未知 UNKNOWN"}


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "show", "acknowledged", "settled", "resolve", *_OF_THE_FILE),
        help="列出、查看；记为已核对；记为已入账；人工认定；核对全部记录；备份；恢复备份；确认改用恢复的记录；归档 / "
        "list; show; mark as checked; mark as booked; decide the result; check the whole journal; back it up; "
        "restore a backup; confirm a restored journal; archive",
    )
    parser.add_argument("which", nargs="?", metavar="DEBIT|PATH", help="编号；备份文件 / a debit's id; a backup's file")
    parser.add_argument("--all", action="store_true", help="包括已入账和未成功的 / those that are over too")
    parser.add_argument(
        "--outcome",
        choices=("done", "none"),
        help="核对卡内记录后：已扣款或未扣款 / after comparing with the card: taken or not",
    )
    parser.add_argument("--yes", action="store_true", help="认定时不再询问 / do not ask before it is decided")
    parser.add_argument(
        "--file", type=Path, metavar="FILE", help="备份、归档或另一份扣款记录 / a backup, an archive, another journal"
    )
    parser.add_argument(
        "--anchor", metavar="N:HASH", help="比照以前记下的锚点 / compare with the anchor of an earlier verify"
    )
    parser.add_argument("--before", metavar="DATE", help="归档此日期之前的 / archive what was over before this date")
    parser.add_argument("--address", metavar="URL", help="服务地址 / the bridge; default http://127.0.0.1:12340")


def _run(options: Namespace, output: Output) -> int:
    from cardio.client import BridgeClient
    from cardio.errors import UsageError

    if options.action in _OF_THE_FILE:
        from service.cli.journal import run_on_file

        return run_on_file(options, output)
    if options.action != "list" and not options.which:
        raise UsageError(f"cardio debits {options.action} 缺少编号", f"cardio debits {options.action}: which one?")
    if options.action == "resolve" and options.outcome is None:
        raise UsageError("请用 --outcome done 或 none 说明结果", "--outcome done or none says what became of it")
    if options.file is not None:
        return _from_file(options, output)
    with BridgeClient.connect(options.address) as bridge:
        if options.action != "list":
            return _one(bridge, options, output)
        # Printing a list does not mean that a person has checked each debit: `acknowledged` says that.
        _list(bridge.get("/v1/debits", peek="true", **({"all": "true"} if options.all else {})), output)
    return DONE


def _from_file(options: Namespace, output: Output) -> int:
    from cardio.errors import UsageError
    from service.cli.journal import listed_in_file, shown_in_file

    if options.action == "list":
        _list(listed_in_file(options.file, all_states=options.all), output)
        return DONE
    if options.action != "show":
        raise UsageError(
            f"--file 只能查看，不能 {options.action}", f"with --file debits are only looked at, not {options.action}"
        )
    shown = shown_in_file(options.file, options.which)
    if output.as_json:
        output.document(shown)
    else:
        output.table(_rows(shown, output), labels=1)
    return DONE


def _list(listed: Mapping[str, Any], output: Output) -> None:
    if output.as_json:
        output.document(dict(listed))
        return
    if not listed["debits"]:
        output.text("没有待处理的消费", "no debit needs attention")
        return
    from service.cli.journal import printable

    rows = [
        output.titles(
            "编号 debit", "时间 time", "自付 self-paid", "统筹 pooled", "结果 outcome", "状态 state", "来源 origin"
        )
    ]
    rows += [
        (one["id"], one["time"] or "-", _yuan(one["self_paid_amount"]), _yuan(one["pooled_fund_amount"]),
         _outcome(one, output), one["state"], one["origin"])
        for one in listed["debits"]
    ]  # fmt: skip
    output.table([tuple(map(printable, row)) for row in rows], head=True)
    if any(one["undelivered"] for one in listed["debits"]):
        output.text(
            "结果未送达的扣款会挡住该卡的下一笔，核对后请用 cardio debits acknowledged 编号",
            "an undelivered result stops the next debit on its card: look at it, then cardio debits acknowledged DEBIT",
            colour=Colour.WARNING,
        )
    if any(one["reason"] == "contradicted" for one in listed["debits"]):
        output.text(
            "原因 contradicted：卡内记录与人工认定不符，该卡须重新认定后才能消费",
            "reason contradicted: the card says otherwise than the person did; decide again, its card waits for that",
            colour=Colour.WARNING,
        )
    if listed["more"]:
        output.text("还有更多未列出，请先记为已入账", "there are more: say which are booked (cardio debits settled)")


def _one(bridge: BridgeClient, options: Namespace, output: Output) -> int:
    place = f"/v1/debits/{options.which}"
    match options.action:
        case "acknowledged":
            shown = bridge.post(f"{place}/acknowledged", {})
        case "settled":
            shown = bridge.post(f"{place}/settled", {})
        case "resolve":
            if not options.yes and not _consents(bridge.get(place, peek="true"), options.outcome, output):
                output.note("未认定", "nothing was decided")
                return _NOT_DECIDED
            shown = bridge.post(f"{place}/resolution", {"outcome": options.outcome})
        case _:
            shown = bridge.get(place, peek="true")
    if output.as_json:
        output.document(shown)
    else:
        output.table(_rows(shown, output), labels=1)
    return DONE


def _consents(shown: Mapping[str, Any], outcome: str, output: Output) -> bool:
    """Show the debit that a person is about to decide on, and ask: the decision is final."""
    from cardio.cli.confirm import consents

    for name, value in _rows(shown, output):
        output.note(f"{name}  {value}")
    (chosen,) = output.titles(_OUTCOMES[outcome])
    return consents(output.label(f"认定为“{chosen}”，不可更改？", f"decide “{chosen}”, for good?"))


def _rows(shown: Mapping[str, Any], output: Output) -> list[tuple[str, str]]:
    fields: dict[str, Any] = {"编号 debit": shown["id"], "结果 outcome": _outcome(shown, output)}
    fields |= {"状态 state": shown["state"], "原因 reason": shown["reason"] or "-"}
    fields |= {"来源 origin": shown["origin"], "Idempotency-Key": shown["idempotency_key"] or "-"}
    fields |= {"提出 asked": shown["created"], "交易时间 time": shown["time"] or "-"}
    fields |= {"自付 self-paid": _yuan(shown["self_paid_amount"]), "统筹 pooled": _yuan(shown["pooled_fund_amount"])}
    fields |= {"送达 handed over": shown["handed_over"] or "-", "核对 acknowledged": shown["acknowledged"] or "-"}
    number = shown["transaction_number"]
    fields |= {
        "终端机编号 terminal": shown["terminal_number"] or "-",
        "交易序号 number": "-" if number is None else number,
    }
    fields |= {"扣款前卡内记录 card's record": shown["card_record"] or "-"}
    if shown["compared"] is not None:
        (compared,) = output.titles(_COMPARED[shown["compared"]])
        fields |= {"卡内记录与认定 compared": compared}
    if (result := shown["result"]) is not None:
        fields |= {"终端交易序号 terminal's number": result["terminal_transaction_number"], "TAC": result["tac"] or "-"}
        fields |= {"依据 known by": result["known_by"]}
    from service.cli.journal import printable

    names = output.titles(*fields)
    return [(name, printable(str(value))) for name, value in zip(names, fields.values(), strict=True)]


def _outcome(shown: Mapping[str, Any], output: Output) -> str:
    if shown.get("tampered"):
        return output.label("记录被改动，不可信", "CHANGED FROM OUTSIDE")
    (outcome,) = output.titles(_OUTCOMES[shown["outcome"]])
    return output.listed((outcome, output.label("结果未送达", "UNDELIVERED"))) if shown["undelivered"] else outcome


def _yuan(fen: int | None) -> str:
    from cardio.debits.purse import yuan

    return "-" if fen is None else yuan(fen)


debits_command = Command(
    name="debits",
    help="扣款记录：查看、标记已入账、人工认定 / the journal of debits: see, book, decide",
    examples=(
        "  cardio debits\n"
        "  cardio debits show 5f3a90c1d2e4b6a7\n"
        "  cardio debits acknowledged 5f3a90c1d2e4b6a7    已核对，该卡可再消费 / checked, its card is free\n"
        "  cardio debits resolve 5f3a90c1d2e4b6a7 --outcome none    核对卡内记录之后 / after comparing with the card\n"
        "  cardio debits verify\n"
        "  cardio debits backup /media/backup/debits.sqlite\n"
        "  cardio debits archive --before 2026-01-01"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
