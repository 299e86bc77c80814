"""``cardio sim``: software cards on the command line; and the readers that ``--reader sim:…`` means."""

from __future__ import annotations

import signal
import threading
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from simulators.persona_readers import PersonaReaders

PREFIX = "sim:"


def simulated_readers() -> PersonaReaders:
    """One reader for each persona, with that card in it; ``sim:my.toml`` is one's own."""
    from simulators.persona_readers import PersonaReaders

    return PersonaReaders(PREFIX)


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="列出软件卡角色 / list the personas")
    listing.add_argument("--json", action="store_true", default=SUPPRESS)
    new = actions.add_parser(
        "new",
        help="写一个角色文件，只含与所选角色的不同之处 / write a persona's file that says only what differs",
        epilog="示例 example:\n  cardio sim new my-card.toml --like whole\n  cardio read --reader sim:my-card.toml",
        formatter_class=RawDescriptionHelpFormatter,
    )
    new.add_argument("file", metavar="FILE.toml", help="要写的文件 / the file to write")
    new.add_argument(
        "--like", metavar="PERSONA", default="adult", help="以此为底，默认 adult / the persona to begin from"
    )
    new.add_argument(
        "--layout", metavar="FILE", help="按此地方结构制卡 / a card of the region whose layout file this is"
    )
    new.add_argument("--json", action="store_true", default=SUPPRESS)
    running = actions.add_parser(
        "run",
        help="把一张软件卡插入虚拟 PC/SC 读卡器 / put a persona's card into a virtual PC/SC reader",
        epilog="示例 example:\n  cardio sim run adult --vpcd 127.0.0.1:35963",
        formatter_class=RawDescriptionHelpFormatter,
    )
    running.add_argument("persona", metavar="PERSONA", help="角色名或 TOML 文件 / a persona's name, or a TOML file")
    running.add_argument(
        "--vpcd", metavar="HOST:PORT", default="127.0.0.1:35963", help="vpcd 地址 / where vpcd listens"
    )
    running.add_argument("--fault", metavar="FAULT", help="卡片故障 / a fault of the card (cardio sim list)")
    running.add_argument("--json", action="store_true", default=SUPPRESS)


def _run(options: Namespace, output: Output) -> int:
    return {"list": _list, "new": _new, "run": _insert}[options.action](options, output)


def _list(options: Namespace, output: Output) -> int:
    from simulators.faults import FAULTS
    from simulators.personas import personas

    if output.as_json:
        listed = [
            {
                "id": p.id,
                "title": p.title,
                "title_en": p.title_en,
                "generation": p.generation,
                "atr": p.atr.hex().upper(),
            }
            for p in personas().values()
        ]
        output.document({"personas": listed, "faults": list(FAULTS)})
        return DONE
    rows = [(p.id, str(p.generation), f"{p.title} / {p.title_en}") for p in personas().values()]
    output.table([("角色 persona", "代 gen.", "说明 description"), *rows])
    output.text()
    output.text(f"故障 faults: {', '.join(FAULTS)}")
    return DONE


def _new(options: Namespace, output: Output) -> int:
    from pathlib import Path

    from simulators.new_persona import write_persona

    path = Path(options.file)
    write_persona(path, like=options.like, layout=Path(options.layout) if options.layout else None)
    if output.as_json:
        output.document({"file": str(path), "like": options.like})
    else:
        output.text(f"已写入 {path}，请用文本编辑器修改 / written; edit it with any text editor")
        output.text(f"试读 try it: cardio read --reader sim:{path}")
    return DONE


def _insert(options: Namespace, output: Output) -> int:
    from simulators.faults import with_fault
    from simulators.personas import find_persona
    from simulators.reader import AnyCard
    from simulators.vpcd import VpcdLink

    host, port = _address(options.vpcd)
    card: AnyCard = find_persona(options.persona).card()
    if options.fault:
        card = with_fault(card, options.fault)
    link = VpcdLink(card, host, port)
    link.insert()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())

    def end_with_the_link() -> None:
        link.wait()
        ended.set()

    threading.Thread(target=end_with_the_link, daemon=True).start()
    if output.as_json:
        output.json_line({"persona": options.persona, "vpcd": options.vpcd, "inserted": True})
    else:
        output.text(f"已插卡 {options.persona} → {options.vpcd}；Ctrl-C 拔卡 / inserted; Ctrl-C pulls the card")
    ended.wait()
    link.remove()
    return DONE


def _address(text: str) -> tuple[str, int]:
    from cardio.errors import UsageError

    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise UsageError(f"地址应为 主机:端口，而不是 {text}", f"an address is HOST:PORT, not {text}")
    return host.strip("[]"), int(port)


sim_command = Command(
    name="sim",
    help="软件卡：角色、故障、虚拟读卡器 / software cards: personas, faults, virtual readers",
    examples=(
        "  cardio sim list\n  cardio sim new my-card.toml --like whole\n  cardio sim run adult --vpcd 127.0.0.1:35963"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
