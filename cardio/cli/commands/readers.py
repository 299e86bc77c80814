"""``cardio readers`` and ``cardio watch``: list the readers and their cards, and show their events."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command, add_reader_argument
from cardio.cli.output import Output
from cardio.cli.via_bridge import add_bridge_argument, run_via_bridge
from cardio.errors import CardioError, NoReaderError

if TYPE_CHECKING:
    from cardio.models.readers import ReaderEvent

_LONGEST_SECONDS = 1e6
_STATUS = {
    "empty": "无卡 empty",
    "card": "有卡 card",
    "mute": "卡无应答 mute",
    "in-use": "被占用 in use",
    "unavailable": "不可用 unavailable",
}
_EVENTS = {
    "reader-added": "读卡器接入 reader added",
    "reader-removed": "读卡器断开 reader removed",
    "card-inserted": "插卡 card inserted",
    "card-removed": "拔卡 card removed",
    "card-mute": "卡无应答（插反？） card mute (upside down?)",
    "service-down": "智能卡服务停止 PC/SC service down",
    "service-up": "智能卡服务可用 PC/SC service up",
}


def _add_readers_arguments(parser: ArgumentParser) -> None:
    add_reader_argument(parser)
    add_bridge_argument(parser)


def _run_readers(options: Namespace, output: Output) -> int:
    from cardio.cli.reader_selection import all_readers
    from cardio.models.problem import Problem

    problem: CardioError | None = None
    if options.bridge:
        numbered = [(str(index), info) for index, info in enumerate(run_via_bridge(lambda bridge: bridge.readers()))]
        problem = None if numbered else NoReaderError()
    else:
        readers, problem = all_readers()
        numbered = [(str(index), reader.info()) for index, reader in enumerate(readers)]
    if not options.bridge and problem is None and all(info.simulated for _, info in numbered):
        problem = NoReaderError()
    shown = [(number, info) for number, info in numbered if matches_reader(info.name, number, options.reader)]
    infos = [info for _, info in shown]
    if output.as_json:
        document = {"readers": [info.model_dump(mode="json") for info in infos]}
        output.document(document | ({"error": Problem.of(problem).document()} if problem else {}))
    else:
        rows = [output.titles("#", "读卡器 reader", "状态 status", "ATR")]
        for number, info in shown:
            rows.append(
                (
                    "-" if info.simulated and not options.bridge else number,
                    info.name,
                    *output.titles(_STATUS[info.status]),
                    info.atr or "",
                )
            )
        output.table(rows, head=True)
        if problem is not None:
            output.note("")
            output.error(problem)
    return problem.exit_status if problem is not None else DONE


def matches_reader(name: str, number: str, wanted: str | None) -> bool:
    """Return True if ``--reader`` means this one: by a part of its name, or by its number."""
    return wanted is None or wanted == number or wanted.lower() in name.lower()


def seconds(text: str) -> float:
    """Parse a time to wait, for argparse."""
    value = float(text)
    if not 0 <= value <= _LONGEST_SECONDS:
        raise ValueError(text)
    return value


def _add_watch_arguments(parser: ArgumentParser) -> None:
    add_reader_argument(parser)
    parser.add_argument(
        "--seconds",
        type=seconds,
        metavar="N",
        help="N 秒后结束；默认到 Ctrl-C / stop after N seconds; default: Ctrl-C",
    )


def _run_watch(options: Namespace, output: Output) -> int:
    from cardio.readers.pcsc import PcscSource

    events: SimpleQueue[ReaderEvent] = SimpleQueue()
    watch = PcscSource().watch(events.put)
    end = None if options.seconds is None else time.monotonic() + options.seconds
    try:
        while True:
            try:
                event = events.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
            except Empty:
                return DONE
            if event.reader is None or matches_reader(event.reader, "", options.reader):
                _print_event(event, output)
    except KeyboardInterrupt:
        return DONE
    finally:
        watch.stop()


def _print_event(event: ReaderEvent, output: Output) -> None:
    if output.as_json:
        output.json_line(event.model_dump(mode="json"))
    else:
        moment = event.time.astimezone().strftime("%H:%M:%S")
        (what,) = output.titles(_EVENTS[event.kind])
        output.text(f"{moment}  {what}  {event.reader or ''}  {event.atr or ''}".rstrip())


READERS = Command(
    name="readers",
    help="列出读卡器及其中的卡 / list readers and what is in them",
    examples="  cardio readers\n  cardio readers --json\n  cardio readers --bridge",
    add_arguments=_add_readers_arguments,
    run=_run_readers,
)
WATCH = Command(
    name="watch",
    help="实时显示插卡、拔卡 / show cards coming and going",
    examples="  cardio watch\n  cardio watch --json      每行一个 JSON 对象 / one JSON object a line",
    add_arguments=_add_watch_arguments,
    run=_run_watch,
)
