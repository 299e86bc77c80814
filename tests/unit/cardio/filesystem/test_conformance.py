"""Conformance: a card as it should be passes, and each thing that can be wrong is found where it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cardio.card.social_security_card import SocialSecurityCard
from cardio.cli.commands.conformance import junit
from cardio.filesystem.capabilities import CapabilityCache
from cardio.models.conformance import Chapter, ConformanceReport, RuleOutcome
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader
from tests.conftest import TODAY


def check(persona: Persona) -> ConformanceReport:
    reader = SoftwareReader("r", persona.card())
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as card:
        return card.conformance(today=TODAY)


def failures(report: ConformanceReport) -> set[tuple[str, str]]:
    return {(c.chapter, c.place) for c in report.checks if c.outcome is RuleOutcome.FAIL}


def altered(path: str, changes: dict[str, Any], **more: Any) -> Persona:
    """The laboratory's card, which opens everything, with other content in one file."""
    whole = find_persona("whole")
    files = whole.files | {path: whole.files.get(path, {}) | changes}
    return whole.model_copy(update={"files": files, **more})


OPEN = failures(check(find_persona("whole")))
"""What fails on the laboratory's card: its controls, and nothing else."""


def test_a_personalised_card_fails_nothing() -> None:
    report = check(find_persona("personalised"))
    assert failures(report) == set()
    assert (report.failed, report.generation, report.layout) == (0, 2, "社会保障卡（V2.0）")
    assert report.passed > 200
    closed = {c.place for c in report.checks if c.outcome is RuleOutcome.NOT_TESTABLE and "needs" in c.detail_en}
    assert "DF03/EF07" in closed and "DF07/EF05" in closed and "SSSE/EF06" not in closed


def test_a_card_that_opens_what_must_be_closed_fails_there_and_only_there() -> None:
    assert {chapter for chapter, _ in OPEN} == {"access"}
    assert {place for _, place in OPEN} == {
        *("SSSE/EF07", "SSSE/EF08"),
        *(f"DF01/EF{n}" for n in ("05", "06", "07", "08", "09", "0A", "15")),
        *(f"DF02/EF{n}" for n in ("05", "06", "07", "09", "15", "16")),
        *(f"DF03/EF{n}" for n in ("05", "06", "07", "15", "16", "17", "18", "19")),
        *(f"DF04/EF{n}" for n in ("05", "06", "08", "15")),
        *("DF06/EF05", "DF06/EF06", "DF07/EF05", "DF07/EF06", "DF07/EF07"),
    }


WRONG: list[tuple[Persona, set[tuple[str, str]]]] = [
    (altered("SSSE/EF06", {"sex": "3"}), {("codes", "SSSE/EF06/sex")}),
    (altered("SSSE/EF06", {"sex": "1"}), {("cross-file", "SSSE/EF06/sex")}),
    (altered("SSSE/EF06", {"birth_date": "19770810"}), {("cross-file", "SSSE/EF06/birth_date")}),
    (
        altered("SSSE/EF06", {"social_security_number": "119900197708090028"}),
        {("check-digits", "SSSE/EF06/social_security_number")},
    ),
    (altered("SSSE/EF05", {"card_number": "A00000012"}), {("check-digits", "SSSE/EF05/card_number")}),
    (altered("DF01/EF09", {"employer_code": "000000001"}), {("check-digits", "DF01/EF09/employer_code")}),
    (
        altered("SSSE/EF05", {"issue_date": "20370101"}),
        {("dates", f"SSSE/EF05/{n}") for n in ("issue_date", "expiry_date")},
    ),
    (altered("SSSE/EF05", {"expiry_date": "20100101"}), {("dates", "SSSE/EF05/expiry_date")}),
    (
        altered("SSSE/EF05", {"spec_version": "3.00"}),
        {("presence", "SSSE/EF0D"), ("access", "SSSE/EF06")},
    ),
    (altered("SSSE/EF05", {"spec_version": "9.00"}), {("cross-file", "SSSE/EF05/spec_version")}),
    (
        altered("SSSE/EF05", {"identification_code": "370200D15600000600000013FFFFFFFF"}),
        {("formats", "SSSE/EF05/identification_code")},
    ),
    (altered("DF01/EF06", {"residence": "hex:" + "41" * 79 + "20"}), {("formats", "DF01/EF06/residence")}),
    (altered("DF01/EF06", {"residence": "hex:" + "4100" * 40}), {("formats", "DF01/EF06/residence")}),
    (altered("DF01/EF06", {"residence": "hex:81" + "00" * 79}), {("formats", "DF01/EF06/residence")}),
    (altered("DF01/EF06", {"telephone": "hex:" + "31" * 16}), {("records", "DF01/EF06/telephone")}),
    (altered("DF01/EF05", {"household_region": "hex:37020A"}), {("formats", "DF01/EF05/household_region")}),
    (altered("DF01/EF05", {"household_region": "019902"}), {("codes", "DF01/EF05/household_region")}),
    (altered("DF01/EF0A", {"party_date": "hex:00000000"}), {("formats", "DF01/EF0A/party_date")}),
    (altered("DF01/EF0A", {"party_date": "hex:20260230"}), {("formats", "DF01/EF0A/party_date")}),
    (altered("DF03/EF05", {"contribution_months": "7"}), {("formats", "DF03/EF05/contribution_months")}),
    (altered("DF01/EF15", {"degree": ["hex:" + "5703343038" + "00" * 47]}), {("formats", "DF01/EF15/degree 2")}),
    (
        altered("DF01/EF15", {"degree": ["hex:5803081201" + "5703343038" + "00" * 42]}),
        {("formats", "DF01/EF15/degree 2")},
    ),
    (
        altered("DF02/EF07", {"records": [{"employed_from": "20200101", "employed_until": "20190101"}]}),
        {("dates", "DF02/EF07/employed_until 1")},
    ),
    (
        altered("DF03/EF05", {"unemployment_registration_date": "20140106"}),
        {("cross-file", "DF02/EF06/unemployment_registration_date")},
    ),
    (altered("DF01/EF08", {}, omit=frozenset({"DF01/EF08"})), {("presence", "DF01/EF08")}),
    (altered("DF01/EF08", {}, omit=frozenset({"DF05"})), set()),
    (altered("DF01/EF06", {}, omit=frozenset({"DF01/EF06/telephone"})), {("records", "DF01/EF06")}),
    (altered("SSSE/EF06", {}, omit=frozenset({"SSSE/EF06/name_extension"})), set()),
    (altered("DF01/EF07", {"education": "21"}), {("records", "DF01/EF07")}),
    (altered("SSSE/EF07", {"content": "hex:" + "AA" * 1024}), set()),
]


@pytest.mark.parametrize(("persona", "expected"), WRONG, ids=range(len(WRONG)))
def test_each_thing_that_can_be_wrong_is_found_where_it_is(persona: Persona, expected: set[tuple[str, str]]) -> None:
    found = failures(check(persona))
    gone = {("access", "DF01/EF08")} if ("presence", "DF01/EF08") in expected else set()
    assert found - OPEN == expected and OPEN - found <= gone


def test_a_free_file_that_asks_for_a_right_fails() -> None:
    closed = find_persona("personalised").quirks.model_copy(update={"closed_files": frozenset({"SSSE/EF06"})})
    report = check(find_persona("personalised").model_copy(update={"quirks": closed}))
    assert failures(report) == {("access", "SSSE/EF06")}


def test_records_out_of_order_are_found_and_education_may_stand_in_either() -> None:
    persona = find_persona("whole")
    card = persona.card()
    for application in card.applications:
        for file in application.by_id.values():
            if file.path in ("DF03/EF07", "DF01/EF15"):
                file.records.append(file.records.pop(0))
    reader = SoftwareReader("r", card)
    with SocialSecurityCard(reader.connect(), reader, capabilities=CapabilityCache(None)) as held:
        report = held.conformance(today=TODAY)
    assert failures(report) - OPEN == {("records", "DF03/EF07")}


def test_a_card_that_gives_records_by_tag_cannot_show_their_order() -> None:
    quirks = find_persona("personalised").quirks.model_copy(update={"record_modes": frozenset({0, 2})})
    report = check(find_persona("personalised").model_copy(update={"quirks": quirks}))
    untested = {c.place for c in report.checks if "by tag only" in c.detail_en}
    assert untested == {"SSSE/EF05", "SSSE/EF06", "DF05/EF05"} and report.failed == 0


def test_the_report_never_says_what_stands_on_the_card() -> None:
    said = check(find_persona("whole")).model_dump_json()
    said += check(find_persona("field")).model_dump_json()
    for value in ("19700230", "2032", "119900197708090027", "测试甲", "A00000011", "青岛", "测试单位", "4523610"):
        assert value not in said


def test_junit_counts_what_the_report_counts(tmp_path: Path) -> None:
    report = check(find_persona("whole"))
    root = ElementTree.fromstring(junit(report))  # noqa: S314 - our own text
    assert int(root.attrib["failures"]) == report.failed == len(root.findall(".//failure"))
    assert len(root.findall(".//skipped")) == report.not_testable
    assert len(root.findall(".//testcase")) == len(report.checks) == int(root.attrib["tests"])
    assert {suite.attrib["name"] for suite in root} == set(Chapter)
    document = json.loads(report.model_dump_json())
    assert (document["passed"], document["failed"]) == (report.passed, report.failed)
