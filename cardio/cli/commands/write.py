"""``cardio write``: writes items of a file, shows them before, and reads them back after."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.card_options import add_card_arguments, note_proof, work_on_card
from cardio.cli.command import DONE, Command
from cardio.cli.confirm import consents
from cardio.cli.key_options import credentials_of
from cardio.cli.output import Output
from cardio.errors import UsageError

if TYPE_CHECKING:
    from cardio.models.files import FileWritten

_REFUSED = 1


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="文件，如 DF01/EF06 / the file")
    parser.add_argument(
        "values",
        metavar="ITEM=VALUE",
        nargs="+",
        help="数据项=值，空值为清除；透明文件用 content=@文件 / item and value, empty clears; content=@FILE for bytes",
    )
    parser.add_argument("--yes", action="store_true", help="不再询问 / do not ask")
    add_card_arguments(parser)


def _run(options: Namespace, output: Output) -> int:
    from cardio.cli.names import file_named

    values = _values(options.values)
    credentials = credentials_of(options)
    change = work_on_card(
        options,
        output,
        lambda card: card.prepare(file_named(card.layout, options.file), values),
        credentials=credentials,
    )
    if not change.needed:
        said = output.words("卡内内容相同，未写入", "the card already has this content; nothing was written")
        return _done(change.result(done=True), output, said)
    if not options.yes and not _consents(change.result(done=False), output):
        output.note("未写入", "nothing was written")
        return _REFUSED
    written = work_on_card(options, output, lambda card: card.write(change), credentials=credentials, repeat=False)
    return _done(written, output, output.words("已写入并核对", "written, read back and compared"))


def _values(given: list[str]) -> dict[str, str] | bytes:
    """Parse the values of the command line.

    Raises:
        UsageError: one is not ``item=value``, or the file behind ``@`` cannot be read.
    """
    values: dict[str, str] = {}
    for one in given:
        item, equals, text = one.partition("=")
        if not equals or not item or item in values:
            raise UsageError(f"应为 数据项=值，且每项一次：{one}", f"it must be ITEM=VALUE, each item once: {one}")
        values[item] = text
    if set(values) == {"content"} and values["content"].startswith("@"):
        try:
            return Path(values["content"][1:]).read_bytes()
        except OSError as error:
            raise UsageError(f"{error}", f"{error}") from error
    return values


def _consents(change: FileWritten, output: Output) -> bool:
    """Show the planned changes and ask for consent."""
    _note_changes(change, output)
    return consents(output.label("写入？", "write?"))


def _note_changes(change: FileWritten, output: Output) -> None:
    title = output.words(change.title, change.title_en)
    output.note(f"{change.file} {title}" + output.bracketed(change.identification_code or "?"))
    for record in change.records:
        if record.outcome != "unchanged":
            before, after = record.before_text or "—", record.after_text or "—"
            output.note(f"  {record.label or output.label('新记录', 'new record')}{output.colon}{before} → {after}")
    if change.size is not None:
        output.note(f"  {change.size} {output.label('字节', 'bytes')}")


def _done(written: FileWritten, output: Output, words: str) -> int:
    if output.as_json:
        output.document(written.model_dump(mode="json"))
    else:
        output.text(words)
        note_proof(output, written.proof)
    return DONE


WRITE = Command(
    name="write",
    help="写入数据项，先询问，后核对 / write items of a file: asks first, reads back after",
    examples=(
        "  cardio write DF01/EF06 residence=上海市测试路1号 telephone=00000000000 --sam psam:1\n"
        "  cardio write DF02/EF06 employment_date=2026-11-24 --sam hsm:https://hsm.example\n"
        "  cardio write DF01/EF15 'degree[2].degree_code=401' --sam soft:keys.toml\n"
        "  cardio write SSSE/EF08 content=@photo.jpg --sam soft:keys.toml"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
