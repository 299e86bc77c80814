"""The shared parts of the commands that explore a card: their options, the way to the card, and the display of
values.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cardio.cli.command import DONE, add_reader_argument
from cardio.cli.key_options import add_key_arguments, credentials_of
from cardio.cli.language import Language, in_language
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.apdu.trace import Exchange, Trace
    from cardio.card.social_security_card import SocialSecurityCard
    from cardio.filesystem.layouts.registry import LayoutChoice
    from cardio.models.base import CodedValue
    from cardio.models.files import ItemContent
    from cardio.models.reading import Proof, Unread, Warning
    from cardio.readers.base import Reader
    from cardio.security.credentials import Credentials

Result = TypeVar("Result")
READING = ("读取文件", "reading files")
"""The work whose progress is shown, in Chinese and English."""


def add_card_arguments(parser: ArgumentParser, *, pin: bool = True) -> None:
    add_reader_argument(parser)
    add_key_arguments(parser, pin=pin)
    parser.add_argument(
        "--layout",
        metavar="FILE",
        type=Path,
        help="用此结构文件解释卡片 / take the card to be as this layout file says",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="在标准错误输出逐条命令；模拟卡含数据 / show each command on stderr, with data only of software cards",
    )


def chosen_layouts(options: Namespace, output: Output) -> LayoutChoice:
    """Return the layouts of ``--layout``, or the available ones; note which of the user's own are left out.

    Raises:
        LayoutError: the file is wrong.
    """
    from cardio.filesystem.layouts.loader import load_layout
    from cardio.filesystem.layouts.registry import LayoutChoice

    if options.layout:
        return LayoutChoice(only=load_layout(options.layout))
    layouts = LayoutChoice.installed()
    for problem in layouts.problems:
        what = output.label("结构文件未采用", "a layout is left out")
        said = output.words(problem.detail, problem.detail_en)
        output.warning(f"{output.label('注意', 'warning')} {what}{output.colon}{said}")
    return layouts


def work_on_card(
    options: Namespace,
    output: Output,
    work: Callable[[SocialSecurityCard], Result],
    *,
    credentials: Credentials | None = None,
    repeat: bool = True,
) -> Result:
    """Do a piece of work with the card that the options name, with their keys and PIN.

    Args:
        options: the options of the command.
        output: the output of the command.
        work: the work; its result is returned.
        credentials: the SAM and the PIN; without them those of the options.
        repeat: start again after another program's reset.

    Raises:
        CardioError: as for `cardio.card.runner.on_card`.
    """
    from cardio.apdu.command_watch import CommandWatch
    from cardio.card.runner import on_card
    from cardio.cli.reader_selection import find_reader
    from cardio.readers.policy_settings import ReaderSettings

    reader = find_reader(options.reader, options.sam)
    with naming_consent():
        return on_card(
            reader,
            work,
            watch=CommandWatch(ReaderSettings.of_this_computer().command_seconds),
            layouts=chosen_layouts(options, output),
            credentials=credentials or credentials_of(options),
            trace=trace_on(options, output, reader),
            repeat=repeat,
        )


@contextmanager
def naming_consent() -> Iterator[None]:
    """Name the option of the holder's consent in an error of the last try; for a ``with`` statement."""
    from cardio.security.errors import LastTryError

    try:
        yield
    except LastTryError as error:
        error.remedy = "请先请持卡人确认密码；持卡人同意使用最后一次后，加上 --accept-last-try 重试。"
        error.remedy_en = "Ask the holder to be sure; with the holder's consent add --accept-last-try."
        raise


def trace_on(options: Namespace, output: Output, reader: Reader) -> Trace | None:
    """Return a trace that shows each exchange, if ``--trace`` is given; it shows data only of software cards."""

    def show(exchange: Exchange) -> None:
        output.note(exchange.line(with_data=reader.simulated))

    return show if options.trace else None


def value_text(item: ItemContent, language: Language = Language.BOTH) -> str:
    """Return a value as text for people: codes with their words, amounts in yuan."""
    from cardio.models.base import CodedValue

    if item.items is not None:
        texts = [(inside, value_text(inside, language)) for inside in item.items]
        label = "label_en" if language is Language.ENGLISH else "label"
        between = "; " if language is Language.ENGLISH else "；"
        return between.join(f"{getattr(inside, label)} {text}" for inside, text in texts if text != "—")
    value = item.value
    if value is None:
        return "—"
    if isinstance(value, CodedValue):
        return coded_text(value, language)
    if isinstance(value, int):
        return number_text(value, item.unit, language)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value)


def coded_text(coded: CodedValue, language: Language = Language.BOTH) -> str:
    """Return a code's words, and the code."""
    known = [word for word in (coded.label, coded.label_en) if word]
    if language is not Language.BOTH and len(known) == 2:
        known = [known[language is Language.ENGLISH]]
    return f"{' '.join(known) or '?'} ({coded.code})"


def number_text(value: int, unit: str | None, language: Language = Language.BOTH) -> str:
    """Return a number with its unit; amounts in yuan."""
    if unit == "fen":
        amount = Decimal(value).scaleb(-2)
        return f"{amount} yuan" if language is Language.ENGLISH else f"{amount} 元"
    return f"{value} {in_language(language, '个月', 'months', between=' ')}" if unit == "months" else str(value)


def status_of_keys(unread: Iterable[Unread]) -> int:
    """Return the exit status of a result: that of the error with which a key was refused or held back, else done."""
    from cardio.security import errors

    refusals = (
        errors.AuthenticationFailedError,
        errors.KeyAlreadyRefusedError,
        errors.KeyBlockedError,
        errors.SamRefusedError,
        errors.KeyMemoryError,
    )
    statuses = {kind.code: kind.exit_status for kind in refusals}
    return next((statuses[one.error] for one in unread if one.error in statuses), DONE)


def note_proof(output: Output, proof: Proof) -> None:
    """Print on standard error how far the card was proved genuine; print nothing if this desk has no SAM."""
    from cardio.models.reading import NO_SAM

    if proof != NO_SAM:
        output.note(output.named("真伪", "proof", output.words(proof.summary, proof.summary_en)))


def note_unread(output: Output, unread: Iterable[Unread], warnings: Iterable[Warning]) -> None:
    """Print on standard error what could not be read, by reason, and the points to check."""
    places: dict[str, list[str]] = {}
    for one in unread:
        why = output.words(f"{one.detail}；{one.remedy}", f"{one.detail_en}. {one.remedy_en}")
        places.setdefault(why, []).append(f"{one.file} {one.item or ''}".rstrip())
    for why, files in places.items():
        output.note(f"{output.label('未读', 'unread')}  {output.listed(files)}{output.colon}{why}")
    for warning in warnings:
        said = output.words(warning.detail, warning.detail_en)
        output.warning(f"{output.label('注意', 'warning')} {warning.item or ''}{output.colon}{said}")
