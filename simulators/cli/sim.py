"""The command ``cardio sim``: software cards on the command line, and the readers of ``--reader sim:…``."""

from __future__ import annotations

import threading
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from typing import TYPE_CHECKING

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output
from cardio.cli.parser import EXAMPLE
from simulators.cli import keys as security_commands
from simulators.cli.keys import ended_by_signal

if TYPE_CHECKING:
    from simulators.card.base import AnyCard
    from simulators.readers.persona_source import PersonaReaders

PREFIX = "sim:"


def simulated_readers() -> PersonaReaders:
    """Return one reader for each persona, with that card in it; ``sim:my.toml`` is the user's own persona."""
    from simulators.readers.persona_source import PersonaReaders

    return PersonaReaders(PREFIX)


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="列出模拟卡样例 / list the personas")
    new = actions.add_parser(
        "new",
        help="写一个样例文件，只含与所选样例的不同之处 / write a persona's file that says only what differs",
        epilog=f"{EXAMPLE}:\n  cardio sim new my-card.toml --like whole\n  cardio read --reader sim:my-card.toml",
        formatter_class=RawDescriptionHelpFormatter,
    )
    new.add_argument("file", metavar="FILE.toml", help="要写的文件 / the file to write")
    new.add_argument(
        "--like", metavar="PERSONA", default="adult", help="以此为底，默认 adult / the persona to begin from"
    )
    new.add_argument(
        "--layout", metavar="FILE", help="按此地方结构制卡 / a card of the region whose layout file this is"
    )
    running = actions.add_parser(
        "run",
        help="把一张模拟卡插入虚拟 PC/SC 读卡器 / put a persona's card into a virtual PC/SC reader",
        epilog=f"{EXAMPLE}:\n  cardio sim run adult --vpcd 127.0.0.1:35963",
        formatter_class=RawDescriptionHelpFormatter,
    )
    running.add_argument("persona", metavar="PERSONA", help="样例名或 TOML 文件 / a persona's name, or a TOML file")
    running.add_argument(
        "--vpcd", metavar="HOST:PORT", default="127.0.0.1:35963", help="vpcd 地址 / where vpcd listens"
    )
    running.add_argument(
        "--memory",
        metavar="FILE",
        help="把密码、次数和写入内容存入文件 / keep PIN, tries and what is written in a file",
    )
    running.add_argument("--fault", metavar="FAULT", help="卡片故障 / a fault of the card (cardio sim list)")
    psam = actions.add_parser("psam", help="把一张软件 PSAM 卡插入虚拟读卡器 / a software PSAM in a virtual reader")
    psam.add_argument("--vpcd", metavar="HOST:PORT", default="127.0.0.1:35964", help="vpcd 地址 / where vpcd listens")
    psam.add_argument(
        "--no-sm4",
        action="store_true",
        help="只有 3DES，如旧 PSAM / 3DES only, as PSAM cards before the third generation",
    )
    hsm = actions.add_parser("hsm", help="启动软件加密机（HTTP） / run a software HSM over HTTP")
    hsm.add_argument("--port", type=int, default=12350, help="端口，默认 12350；0 为任选 / 0 picks a free one")
    keys = actions.add_parser(
        "keys", help="写出公开的测试密钥文件，供 --sam soft:文件 / write the published test keys for --sam soft:FILE"
    )
    keys.add_argument("file", metavar="FILE", help="要写的文件（0600） / the file to write")
    steps = actions.add_parser(
        "step",
        help="加密机步骤：根据上一步的输出计算下一步的输入 / what the authority answers between driver steps",
        epilog=f"{EXAMPLE}:\n  cardio sim step read '320200|0081…|03|3202…|…|'",
        formatter_class=RawDescriptionHelpFormatter,
    )
    steps.add_argument("kind", choices=("read", "general", "pin", "debit"), help="哪一种 / which exchange")
    steps.add_argument("text", metavar="TEXT", help="上一步的输出 / what the step before gave")
    steps.add_argument("--historical-bytes", metavar="HEX", help="卡复位信息 / of the card; for all but read")
    steps.add_argument("--city", metavar="DIGITS", help="卡识别码的前六位 / of the card; for all but read")


def _run(options: Namespace, output: Output) -> int:
    actions: dict[str, Callable[[Namespace, Output], int]] = {
        "list": _list,
        "new": _new,
        "run": _insert,
        "psam": _psam,
        "hsm": security_commands.run_hsm,
        "keys": security_commands.write_keys,
        "step": security_commands.answer_step,
    }
    return actions[options.action](options, output)


def _list(options: Namespace, output: Output) -> int:
    from simulators.card.faults import FAULTS
    from simulators.personas.persona import personas

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
    rows = [(p.id, str(p.generation), output.words(p.title, p.title_en)) for p in personas().values()]
    output.table([output.titles("样例 persona", "代 gen.", "说明 description"), *rows], head=True)
    output.text()
    output.item(output.named("故障", "faults", ""), ", ".join(FAULTS))
    return DONE


def _new(options: Namespace, output: Output) -> int:
    from pathlib import Path

    from simulators.personas.writer import write_persona

    path = Path(options.file)
    write_persona(path, like=options.like, layout=Path(options.layout) if options.layout else None)
    if output.as_json:
        output.document({"file": str(path), "like": options.like})
    else:
        output.text(f"已写入 {path}，请用文本编辑器修改", f"written: {path}; edit it with any text editor")
        output.text(output.label("试读", "try it") + f"{output.colon}cardio read --reader sim:{path}")
    return DONE


def _insert(options: Namespace, output: Output) -> int:
    from pathlib import Path

    from simulators.card.faults import with_fault
    from simulators.personas.persona import find_persona

    memory = Path(options.memory) if options.memory else None
    card: AnyCard = find_persona(options.persona).card(memory)
    if options.fault:
        card = with_fault(card, options.fault)
    return _serve(card, options.persona, options.vpcd, output)


def _psam(options: Namespace, output: Output) -> int:
    from simulators.sam.psam import SoftwarePsam

    card = SoftwarePsam(algorithms=("3DES",) if options.no_sm4 else ("3DES", "SM4"))
    return _serve(card, "psam", options.vpcd, output)


def _serve(card: AnyCard, name: str, vpcd: str, output: Output) -> int:
    """Keep a card in a virtual reader until the command ends.

    Raises:
        NoVirtualReaderError: there is no reader that takes the card.
        VirtualReaderGoneError: the reader has released the card, because pcscd has ended.
    """
    from simulators.readers.vpcd import VirtualReaderGoneError, VpcdLink

    host, port = _address(vpcd)
    link = VpcdLink(card, host, port)
    link.insert()
    link.wait_until_seen()
    ended = ended_by_signal()

    def end_with_the_link() -> None:
        link.wait()
        ended.set()

    threading.Thread(target=end_with_the_link, daemon=True).start()
    if output.as_json:
        output.json_line({"persona": name, "vpcd": vpcd, "inserted": True})
    else:
        output.text(f"已插卡 {name} → {vpcd}；Ctrl-C 拔卡", f"inserted {name} → {vpcd}; Ctrl-C pulls the card")
    ended.wait()
    gone = not link.is_in
    link.remove()
    if gone:
        raise VirtualReaderGoneError(
            f"{vpcd} 上的虚拟读卡器已断开（pcscd 已停止？）", f"the virtual reader on {vpcd} has gone; has pcscd ended?"
        )
    return DONE


def _address(text: str) -> tuple[str, int]:
    from cardio.errors import UsageError

    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 65536:
        raise UsageError(f"地址应为 主机:端口，而不是 {text}", f"an address is HOST:PORT, not {text}")
    return host.strip("[]"), int(port)


sim_command = Command(
    name="sim",
    help="模拟卡：样例、故障、虚拟读卡器 / software cards: personas, faults, virtual readers",
    examples=(
        "  cardio sim list\n"
        "  cardio sim new my-card.toml --like whole\n"
        "  cardio sim run adult --vpcd 127.0.0.1:35963\n"
        "  cardio sim keys test-keys.toml && cardio read --reader sim:third-closed --sam soft:test-keys.toml\n"
        "  cardio sim psam                                  PSAM 卡在第二个卡槽 / in the second slot\n"
        "  cardio sim hsm                                   加密机 / cardio read --sam hsm:http://127.0.0.1:12350"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
