"""``cardio files``, ``show`` and ``dump``: show the tree of a card, one of its files, and everything."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from cardio.cli.card_options import READING, add_card_arguments, note_proof, note_unread, value_text, work_on_card
from cardio.cli.command import DONE, Command
from cardio.cli.language import Language
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.models.files import CardTree, FileContent, FileEntry

_REFUSED = 1
_RAW_SHOWN = 48
_TREE_HEADS = ("文件 file", "名称 title", "结构 structure", "读 read", "写 update", "字节 bytes", "可读 readable")
STRUCTURES = {"variable": "变长", "cyclic": "循环", "fixed": "定长", "transparent": "透明", "internal": "内部"}


def _run_files(options: Namespace, output: Output) -> int:
    tree = work_on_card(options, output, lambda card: card.tree(progress=output.progress(*READING)))
    if output.as_json:
        output.document(tree.model_dump(mode="json"))
    else:
        print_tree(tree, output)
        note_proof(output, tree.proof)
    return DONE


def print_tree(tree: CardTree, output: Output) -> None:
    """Print applications and files as a table, one line each.

    On a terminal the reasons why files are closed stand below it, each once; a program has each in its row.
    """
    rows: list[tuple[str, ...]] = [output.titles(*_TREE_HEADS)]
    reasons: dict[str, int] = {}
    for application in tree.applications:
        rows.append((application.id, output.label(application.title, application.title_en), "", "", "", "", ""))
        for file in application.files:
            rows.append(_file_row(file, reasons, output))
    output.table(rows, head=True)
    if reasons:
        output.text()
    for reason, number in reasons.items():
        output.item(f"✗ {number}  ", reason)


def _file_row(file: FileEntry, reasons: dict[str, int], output: Output) -> tuple[str, ...]:
    name = file.structure if output.language is Language.ENGLISH else STRUCTURES[file.structure]
    structure = name + (f" {file.records}" if file.records is not None else "")
    readable = "✓"
    if not file.readable:
        reason = f"{file.reason}{output.colon}{output.label(file.detail or '', file.detail_en or '')}"
        readable = f"✗ {reasons.setdefault(reason, len(reasons) + 1) if output.is_on_terminal else reason}"
    if file.opened_by not in (None, "free"):
        readable += f" {file.opened_by}"
    size = "" if file.size is None else str(file.size)
    return f"  {file.file}", output.label(file.title, file.title_en), structure, file.read, file.update, size, readable


def _run_show(options: Namespace, output: Output) -> int:
    if "$" in options.file or "|" in options.file:
        return _run_address(options, output)
    from cardio.cli.names import file_named

    content = work_on_card(options, output, lambda card: card.file(file_named(card.layout, options.file)))
    if output.as_json:
        output.document(content.model_dump(mode="json"))
    else:
        print_file(content, output)
        note_proof(output, content.proof)
    return DONE if content.opened_by is not None else _REFUSED


def _run_address(options: Namespace, output: Output) -> int:
    """Print the values of a national address in its own shape."""
    from cardio.filesystem.address import Address

    address = Address.parse(options.file)
    text, proof = work_on_card(options, output, lambda card: (card.values(address), card.proof))
    if output.as_json:
        output.document({"address": options.file, "output": text, "proof": proof.model_dump(mode="json")})
    else:
        output.text(text)
        note_proof(output, proof)
    return DONE


def print_file(content: FileContent, output: Output) -> None:
    """Print one file, each value beside its bytes."""
    output.text(f"{content.file} {output.words(content.title, content.title_en)}")
    rows = [output.titles("#", "标签 tag", "名称 label", "值 value", "原始 raw")]
    for record in content.records:
        number = str(record.number) + (f" {record.title}" if record.title else "")
        for item in record.items:
            if item.items is None:
                rows.append(
                    (
                        number,
                        item.tag or "",
                        output.label(item.label, item.label_en),
                        value_text(item, output.language),
                        _raw(item.raw),
                    )
                )
            else:
                rows.append((number, item.tag or "", output.label(item.label, item.label_en), "", _raw(item.raw)))
                for inside in item.items:
                    rows.append(
                        (
                            "",
                            "  " + (inside.tag or ""),
                            output.label(inside.label, inside.label_en),
                            value_text(inside, output.language),
                            _raw(inside.raw),
                        )
                    )
            number = ""
    if len(rows) > 1:
        output.table(rows, head=True)
        if any(row[-1].endswith("…") for row in rows):
            output.text("… 完整数据见 --json", "all bytes with --json")
    if content.size is not None:
        output.text(
            f"{content.size} {output.label('字节', 'bytes')}"
            + (f"{output.colon}{_raw(content.content)}" if content.content else "")
        )
    note_unread(output, content.unread, content.warnings)


def _raw(raw: str) -> str:
    return raw if len(raw) <= _RAW_SHOWN else f"{raw[:_RAW_SHOWN]}…"


def _run_dump(options: Namespace, output: Output) -> int:
    dump = work_on_card(options, output, lambda card: card.dump(progress=output.progress(*READING)))
    if output.as_json:
        output.document(dump.model_dump(mode="json"))
        return DONE
    for file in dump.files:
        print_file(file, output)
        output.text()
    note_proof(output, dump.proof)
    return DONE


def _add_show_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="文件：DF03/EF07、名称或其一部分，或全国地址 / a file: path, title, part of one, or address",
    )
    add_card_arguments(parser)


FILES = Command(
    name="files",
    help="卡内文件树：结构、读写条件、可读与否 / the tree of files, their conditions, readable or not and why",
    examples="  cardio files\n  cardio files --reader sim:whole --json",
    add_arguments=add_card_arguments,
    run=_run_files,
)
SHOW = Command(
    name="show",
    help="显示一个文件，解码与原始数据并列 / one file, decoded beside raw",
    examples=(
        "  cardio show DF03/EF07\n"
        "  cardio show 养老保险\n"
        "  cardio show DF03/EF19 --reader sim:whole --json\n"
        "  cardio show 'SSSEEF05|01|07|$DF03EF19|79:01|$' --reader sim:whole    全国地址 / a national address"
    ),
    add_arguments=_add_show_arguments,
    run=_run_show,
)
DUMP = Command(
    name="dump",
    help="读出卡内所有可读内容 / everything that can be read",
    examples="  cardio dump --json > card.json        含个人信息 / personal data!\n  cardio dump --reader sim:whole",
    add_arguments=add_card_arguments,
    run=_run_dump,
)
