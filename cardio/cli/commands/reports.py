"""``cardio insurance`` and ``cardio employment``: show a card's data on one topic, across its files."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from cardio.cli.card_options import (
    READING,
    add_card_arguments,
    note_proof,
    note_unread,
    number_text,
    status_of_keys,
    value_text,
    work_on_card,
)
from cardio.cli.command import Command
from cardio.cli.language import Language
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.models.files import Report


def _run_insurance(options: Namespace, output: Output) -> int:
    return _run("insurance", options, output)


def _run_employment(options: Namespace, output: Output) -> int:
    return _run("employment", options, output)


def _run(name: str, options: Namespace, output: Output) -> int:
    report = work_on_card(options, output, lambda card: card.report(name, progress=output.progress(*READING)))
    if output.as_json:
        output.document(report.model_dump(mode="json"))
    else:
        print_report(report, output)
        note_proof(output, report.proof)
    return status_of_keys(report.unread)


def print_report(report: Report, output: Output) -> None:
    """Print the report topic by topic, each value with the file and item that it came from."""
    for section in report.sections.values():
        if not section.values:
            continue
        output.heading(section.title, section.title_en)
        rows = []
        for item in section.values:
            place = f"{item.file} {item.tag or ''}".rstrip()
            several = sum(other.file == item.file and other.name == item.name for other in section.values) > 1
            label = (
                output.label(item.label, item.label_en)
                + (f" {item.record}" if several else "")
                + (output.bracketed(item.title) if item.title else "")
            )
            rows.append((f"  {label}", "" if item.items else value_text(item, output.language), place))
            texts = [(one, value_text(one, output.language)) for one in item.items or ()]
            rows += [
                (f"    {output.label(one.label, one.label_en)}", text, one.tag or "")
                for one, text in texts
                if text != "—"
            ]
        output.table(rows, labels=1)
    if report.totals:
        output.heading("合计", "totals")
        english = output.language is Language.ENGLISH
        output.table(
            (
                (
                    f"  {total.label_en if english else total.label}"
                    + (
                        output.bracketed((english and total.by.label_en) or total.by.label or total.by.code)
                        if total.by
                        else ""
                    ),
                    number_text(total.value, total.unit, output.language),
                    output.listed((total.file, f"{total.records} {output.label('条', 'records')}")),
                )
                for total in report.totals
            ),
            labels=1,
        )
    note_unread(output, report.unread, report.warnings)


INSURANCE = Command(
    name="insurance",
    help="五险、参保凭证和累计 / the five insurances, participation vouchers and totals",
    examples="  cardio insurance\n  cardio insurance --reader sim:whole --json",
    add_arguments=add_card_arguments,
    run=_run_insurance,
)
EMPLOYMENT = Command(
    name="employment",
    help="就业和失业登记 / employment and unemployment registration",
    examples="  cardio employment\n  cardio employment --reader sim:whole-first --json",
    add_arguments=add_card_arguments,
    run=_run_employment,
)
