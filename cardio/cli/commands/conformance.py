"""``cardio conformance``: checks a card, or a layout by itself, against the specification."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.card_options import READING, add_card_arguments, work_on_card
from cardio.cli.command import DONE, Command
from cardio.cli.language import Language
from cardio.cli.output import Output
from cardio.errors import CannotWriteError, UsageError

if TYPE_CHECKING:
    from cardio.models.conformance import ConformanceReport

_FAILED = 1
_MARKS = {"pass": "通过 passed", "fail": "不符 failed", "not-testable": "未检测 not testable"}


def _add_arguments(parser: ArgumentParser) -> None:
    add_card_arguments(parser)
    parser.add_argument(
        "--no-card", action="store_true", help="只检查 --layout 指定的结构 / check the layout file by itself"
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="另存 JUnit XML 报告 / also write JUnit XML")
    parser.add_argument("--all", action="store_true", help="也列出通过的项目 / list what passed too")


def _run(options: Namespace, output: Output) -> int:
    report = _report(options, output)
    if options.junit is not None:
        _write(options.junit, junit(report))
    if output.as_json:
        output.document(report.model_dump(mode="json"))
    else:
        print_conformance(report, output, everything=options.all)
    return _FAILED if report.failed else DONE


def _report(options: Namespace, output: Output) -> ConformanceReport:
    if not options.no_card:
        show = output.progress(*READING)
        return work_on_card(options, output, lambda card: card.conformance(progress=show))
    from cardio.filesystem.conformance.book import Book
    from cardio.filesystem.conformance.structure import check_structure
    from cardio.filesystem.layouts.loader import extended_layouts, inspect_layout, read_toml
    from cardio.filesystem.layouts.registry import Expansion
    from cardio.models.conformance import ConformanceReport

    if options.layout is None:
        raise UsageError("--no-card 须与 --layout 同用", "--no-card needs --layout")
    text, document = read_toml(options.layout)
    generations = Expansion.load(options.layout).generations if extended_layouts(document) else (None,)
    book = Book()
    for generation in generations:
        layout, faults = inspect_layout(options.layout, generation=generation)
        check_structure(layout, faults, book, text=text)
    return ConformanceReport.of(str(options.layout), layout.title, layout.generation, book.checks)


def print_conformance(report: ConformanceReport, output: Output, *, everything: bool) -> None:
    """Print the report by chapter: what failed, what could not be tested and why, and how many checks passed."""
    from cardio.models.conformance import CHAPTER_TITLES, RuleOutcome

    output.text(f"{report.subject} · {report.layout}")
    for chapter, (title, title_en) in CHAPTER_TITLES.items():
        checks = report.chapter(chapter)
        if not checks:
            continue
        passed = sum(check.outcome is RuleOutcome.PASS for check in checks)
        output.text()
        output.heading(title, title_en, f" {passed}/{len(checks)} {output.label('通过', 'passed')}")
        rows: dict[tuple[str, str, str], list[str]] = {}
        for check in checks:
            if everything or check.outcome is not RuleOutcome.PASS:
                why = "；".join(word for word in (check.rule, check.detail) if word)
                why_en = "; ".join(word for word in (check.rule_en, check.detail_en) if word)
                rows.setdefault((_MARKS[check.outcome], why, why_en), []).append(check.place)
        for (mark, why, why_en), places in rows.items():
            (said,) = output.titles(mark)
            output.item(f"  {said} ", output.words(why, why_en))
            output.item("       ", output.listed(places))
    counts = zip(output.titles(*_MARKS.values()), (report.passed, report.failed, report.not_testable), strict=True)
    between = ", " if output.language is Language.ENGLISH else "，"
    output.text("\n" + between.join(f"{title} {count}" for title, count in counts))


def junit(report: ConformanceReport) -> str:
    """Return the report as JUnit XML: a suite for each chapter, a case for each check."""
    from xml.etree import ElementTree

    from cardio.models.conformance import RuleOutcome

    root = ElementTree.Element(
        "testsuites", name=report.layout, tests=str(len(report.checks)), failures=str(report.failed)
    )
    for chapter in dict.fromkeys(check.chapter for check in report.checks):
        checks = report.chapter(chapter)
        failed, untested = (
            sum(check.outcome is outcome for check in checks)
            for outcome in (RuleOutcome.FAIL, RuleOutcome.NOT_TESTABLE)
        )
        suite = ElementTree.SubElement(
            root, "testsuite", name=chapter, tests=str(len(checks)), failures=str(failed), skipped=str(untested)
        )
        for check in checks:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{chapter}.{check.place.replace('.', '_')}", name=check.rule_en
            )
            said = f"{check.detail} / {check.detail_en}"
            if check.outcome is RuleOutcome.FAIL:
                ElementTree.SubElement(case, "failure", message=said)
            elif check.outcome is RuleOutcome.NOT_TESTABLE:
                ElementTree.SubElement(case, "skipped", message=said)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotWriteError(f"无法写入 {path}：{error}", f"cannot write {path}: {error}") from error


CONFORMANCE = Command(
    name="conformance",
    help="按结构规范检查一张卡或一份地方结构 / check a card, or a region's layout, against the specification",
    examples=(
        "  cardio conformance --reader sim:personalised\n"
        "  cardio conformance --junit report.xml --json\n"
        "  cardio conformance --layout my-region.toml --no-card    只检查结构 / the layout by itself"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
