"""What the commands share that explore a card: their options, the way to the card, and how values are shown."""

from __future__ import annotations

import sys
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
    """The layouts that ``--layout`` means, or those at hand; which of the user's own are left out is noted.

    Raises:
        LayoutError: the file is wrong.
    """
    from cardio.filesystem.layouts.loader import load_layout
    from cardio.filesystem.layouts.registry import LayoutChoice

    if options.layout:
        return LayoutChoice(only=load_layout(options.layout))
    layouts = LayoutChoice.at_hand()
    for problem in layouts.problems:
        what = output.label("结构文件未采用", "a layout is left out")
        said = output.words(problem.detail, problem.detail_en)
        output.note(f"{output.label('注意', 'warning')} {what}：{said}")
    return layouts


def work_on_card(
    options: Namespace,
    output: Output,
    work: Callable[[SocialSecurityCard], Result],
    *,
    credentials: Credentials | None = None,
    repeat: bool = True,
) -> Result:
    """Does something with the card that the options mean, with the keys and PIN that they bring.

    Raises:
        CardioError: as `cardio.card.runner.on_card` says.
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
            watch=CommandWatch(ReaderSettings.of_this_desk().command_seconds),
            layouts=chosen_layouts(options, output),
            credentials=credentials or credentials_of(options),
            trace=trace_on(options, output, reader),
            repeat=repeat,
        )


@contextmanager
def naming_consent() -> Iterator[None]:
    """Has an error of the last try name the option by which the holder's consent is given here."""
    from cardio.security.errors import LastTryError

    try:
        yield
    except LastTryError as error:
        error.remedy = "请先请持卡人确认密码；持卡人同意使用最后一次后，加上 --accept-last-try 重试。"
        error.remedy_en = "Ask the holder to be sure; with the holder's consent add --accept-last-try."
        raise


def trace_on(options: Namespace, output: Output, reader: Reader) -> Trace | None:
    """Shows each exchange where ``--trace`` is given; its data only of software cards."""

    def show(exchange: Exchange) -> None:
        output.note(exchange.line(with_data=reader.simulated))

    return show if options.trace else None


def progress_on(output: Output, zh: str) -> Callable[[int, int], None] | None:
    """Shows how far a long reading is, on a terminal only."""
    if output.as_json or not sys.stderr.isatty():
        return None

    def show(done: int, whole: int) -> None:
        end = "\n" if done >= whole else ""
        print(f"\r{zh} {done}/{whole}", end=end, file=sys.stderr, flush=True)

    return show


def value_text(item: ItemContent, language: Language = Language.BOTH) -> str:
    """A value as people read it: codes with their words, money in yuan."""
    from cardio.models.base import CodedValue

    if item.items is not None:
        told = [(inside, value_text(inside, language)) for inside in item.items]
        label = "label_en" if language is Language.ENGLISH else "label"
        return "；".join(f"{getattr(inside, label)} {text}" for inside, text in told if text != "—")
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
    """A code's words, and the code."""
    known = [word for word in (coded.label, coded.label_en) if word]
    if language is not Language.BOTH and len(known) == 2:
        known = [known[language is Language.ENGLISH]]
    return f"{' '.join(known) or '?'} ({coded.code})"


def number_text(value: int, unit: str | None, language: Language = Language.BOTH) -> str:
    """A number with its unit; money in yuan."""
    if unit == "fen":
        amount = Decimal(value).scaleb(-2)
        return f"{amount} yuan" if language is Language.ENGLISH else f"{amount} 元"
    return f"{value} {in_language(language, '个月', 'months', between=' ')}" if unit == "months" else str(value)


def status_of_keys(unread: Iterable[Unread]) -> int:
    """The exit status of an answer: that of the error by which a card, or what is known of it, refused a key."""
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
    """How far the card was proved genuine; on standard error, and nothing where this desk has no SAM to ask it."""
    from cardio.models.reading import NO_SAM

    if proof != NO_SAM:
        output.note(f"{output.label('真伪', 'proof')}：{output.words(proof.summary, proof.summary_en)}")


def note_unread(output: Output, unread: Iterable[Unread], warnings: Iterable[Warning]) -> None:
    """What could not be read, by reason, and what to look at; on standard error."""
    places: dict[str, list[str]] = {}
    for one in unread:
        why = output.words(f"{one.detail}；{one.remedy}", f"{one.detail_en}. {one.remedy_en}")
        places.setdefault(why, []).append(f"{one.file} {one.item or ''}".rstrip())
    for why, files in places.items():
        output.note(f"{output.label('未读', 'unread')}  {'、'.join(files)}：{why}")
    for warning in warnings:
        said = output.words(warning.detail, warning.detail_en)
        output.note(f"{output.label('注意', 'warning')} {warning.item or ''}：{said}")
