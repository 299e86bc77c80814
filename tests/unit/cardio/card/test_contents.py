"""Answers about files: the tree, the dump, the reports, who opened what; and what a whole card costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from cardio.apdu.channel import Channel, Counts, TransmissionProtocol
from cardio.card.social_security_card import SocialSecurityCard
from cardio.errors import UsageError
from cardio.filesystem.capabilities import CapabilityCache, FamilyCapabilities
from cardio.filesystem.card_file_system import CardFileSystem
from cardio.models.base import CodedValue
from cardio.models.files import CardTree, Report
from cardio.security.credentials import Credentials
from cardio.security.pin.pin import Pin
from simulators.card.quirks import WrongLength
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader

PIN = "123456"


def on(persona: Persona | str, work: Callable[[SocialSecurityCard], Any], *, pin: str | None = None) -> Any:
    found = find_persona(persona) if isinstance(persona, str) else persona
    reader = SoftwareReader("r", found.card())
    credentials = None if pin is None else Credentials(pin=Pin(pin))
    with SocialSecurityCard(
        reader.connect(), reader, capabilities=CapabilityCache(None), credentials=credentials
    ) as card:
        return work(card)


def test_a_file_says_who_opened_it_as_the_contract_has_it() -> None:
    voucher = on("personalised", lambda card: card.file("DF03/EF19"), pin=PIN).model_dump(mode="json")
    assert voucher["opened_by"] == "pin"
    record = voucher["records"][0]
    assert (record["number"], record["title"]) == (1, "养老保险")
    item = record["items"][0]
    assert "value" not in item and item["tag"] == "79"
    assert item["items"][0] == {
        "tag": "18",
        "name": "insurance_type",
        "label": "险种类型",
        "label_en": "type of insurance",
        "value": {"code": "110", "label": "城镇企业职工基本养老保险", "label_en": "pension, urban employees"},
        "raw": "313130",
    }
    assert item["items"][4]["value"] == 4523610 and item["items"][4]["unit"] == "fen"
    assert voucher["records"][3]["items"][0]["items"][0]["value"] is None


def test_a_basic_reading_between_two_files_changes_neither() -> None:
    def thrice(card: SocialSecurityCard) -> list[Any]:
        first = card.file("DF03/EF07")
        return [first, card.read(), card.file("DF03/EF07"), card.file("DF03/EF19")]

    first, _, again, other = on("whole", thrice)
    assert again == first and other.opened_by == "free" and len(other.records) == 4


def test_rights_end_where_another_application_is_entered() -> None:
    def twice(card: SocialSecurityCard) -> list[str | None]:
        return [card.file(path).opened_by for path in ("DF01/EF05", "SSSE/EF06", "DF01/EF05", "DF04/EF06", "DF04/EF08")]

    assert on("personalised", twice, pin=PIN) == ["pin", "free", "pin", None, "pin"]
    assert on("personalised", twice) == [None, "free", None, None, None]


def test_conformance_judges_controls_without_rights_and_contents_with_them() -> None:
    report = on("personalised", lambda card: card.conformance(), pin=PIN)
    passed = {(check.chapter.value, check.place) for check in report.checks if check.outcome == "pass"}
    assert report.failed == 0 and {("access", "DF03/EF07"), ("codes", "DF03/EF07/pension_type")} <= passed


def test_a_closed_file_says_why_and_the_rest_is_given() -> None:
    dump = on("personalised", lambda card: card.dump())
    by_path = {file.file: file for file in dump.files}
    assert [u.reason for u in by_path["DF03/EF07"].unread] == ["needs-pin-or-key"]
    assert [u.reason for u in by_path["DF07/EF05"].unread] == ["needs-key"]
    assert [u.reason for u in by_path["DF04/EF08"].unread] == ["needs-pin"]
    assert [u.reason for u in by_path["DF04/EF06"].unread] == ["needs-pin-and-key"]
    assert by_path["DF05/EF05"].opened_by == "free" and len(by_path["DF05/EF05"].records) == 33
    assert by_path["SSSE/EF06"].records[1].items[0].value == "测试甲"


def test_a_file_that_the_card_lacks_is_absent_and_costs_no_other() -> None:
    lacking = find_persona("whole").model_copy(update={"omit": frozenset({"DF03/EF07", "DF06"})})
    dump = on(lacking, lambda card: card.dump())
    unread = {file.file: [u.reason for u in file.unread] for file in dump.files if file.unread}
    assert unread == {"DF03/EF07": ["absent"], "DF06/EF05": ["absent"], "DF06/EF06": ["absent"]}


def test_fingerprints_are_counted_and_never_shown() -> None:
    content = on("whole", lambda card: card.file("SSSE/EF07"))
    assert (content.size, content.content) == (768, None)
    assert "54455354" not in content.model_dump_json()


def test_a_file_that_no_layout_has_is_a_wrong_question() -> None:
    for path in ("DF03/EF55", "DF09/EF05", "", "DF04/EF09", "SSSE/EF0D"):
        with pytest.raises(UsageError):
            on("whole", partial(SocialSecurityCard.file, path=path))


def test_the_tree_has_every_file_of_the_layout_and_what_it_takes() -> None:
    tree: CardTree = on("personalised", lambda card: card.tree())
    files = {file.file: file for application in tree.applications for file in application.files}
    assert len(files) == 41 and [a.id for a in tree.applications] == ["SSSE", *(f"DF0{n}" for n in range(1, 8))]
    assert (files["SSSE/EF06"].readable, files["SSSE/EF06"].size, files["SSSE/EF06"].records) == (True, 91, 7)
    assert (files["DF01/EF16"].readable, files["DF01/EF16"].size, files["DF01/EF16"].use) == (True, 296, "reserved")
    pension = files["DF03/EF07"]
    assert (pension.readable, pension.reason, pension.read) == (False, "needs-pin-or-key", "PIN or RK1DF03")
    assert (files["DF04/EF09"].readable, files["DF04/EF09"].reason) == (False, "internal")


def values(report: Report, topic: str) -> dict[str, tuple[str, Any]]:
    return {item.name: (item.file, item.value) for item in report.sections[topic].values}


def test_the_five_insurances_of_a_2_0_card() -> None:
    report: Report = on("whole", lambda card: card.report("insurance"))
    assert list(report.sections) == [
        *("pension", "unemployment", "medical", "work_injury", "maternity"),
        *("dependants", "vouchers", "settlements", "totals"),
    ]
    file, kind = values(report, "pension")["pension_type"]
    assert file == "DF03/EF07" and isinstance(kind, CodedValue) and kind.code == "110"
    assert values(report, "unemployment")["contribution_months"] == ("DF03/EF05", 160)
    # One item of the medical file is about work injury, and stands there.
    assert values(report, "work_injury")["work_injury_institution_1"] == ("DF04/EF05", "000000043")
    assert values(report, "maternity")["maternity_institution_1"][0] == "DF04/EF05"
    assert values(report, "totals")["offline_total"] == ("DF04/EF06", 12345)
    assert [(v.record, v.title) for v in report.sections["vouchers"].values] == [
        (1, "养老保险"),
        (2, "医疗保险"),
        (3, "失业保险"),
    ]
    settled = report.sections["settlements"].values[0]
    assert (settled.file, settled.record, settled.tag) == ("DF04/EF08", 1, None)
    assert settled.items is not None and settled.items[3].name == "transaction_time"
    # By hand: 3150 + 0 paid by oneself in two settlements; the credit of 30000 is a sum of its own.
    sums = {(t.name, t.by.code if t.by else None): (t.value, t.records) for t in report.totals}
    assert sums[("self_paid_amount", "2")] == (3150, 2) and sums[("pooled_fund_amount", "2")] == (20600, 2)
    assert sums[("personal_account_amount", "1")] == (30000, 1) and sums[("personal_account_amount", "2")] == (2000, 2)
    assert sums[("contributed_amount", "110")] == (4523610, 1) and sums[("contributed_months", "310")] == (156, 1)
    assert [(u.file, u.reason) for u in report.unread] == [("DF04/EF09", "internal")]


def test_the_insurances_of_a_1_0_card_with_what_was_rewritten() -> None:
    report: Report = on("whole-first", lambda card: card.report("insurance"))
    pension = values(report, "pension")
    assert pension["monthly_pension"] == ("DF03/EF07", 250000)
    assert str(pension["pension_benefit_date"][1]) == "2026-02-01" and pension["pension_type"][1].code == "110"
    assert values(report, "totals")["personal_account_balance"] == ("DF04/EF06", 56780)
    assert report.card.generation == 1 and report.warnings == ()


def test_employment_and_unemployment_registration() -> None:
    report: Report = on("whole", lambda card: card.report("employment"))
    assert list(report.sections)[:3] == ["employment", "unemployment_registration", "certificate"]
    registered = {item.name: item for item in report.sections["unemployment_registration"].values}
    assert str(registered["unemployment_registration_date"].value) == "2014-01-06"
    inside = registered["unemployment_registration"].items
    assert inside is not None and [part.value.label for part in inside][:1] == ["失业登记"]  # type: ignore[union-attr]
    worked = [item for item in report.sections["employment"].values if item.file == "DF02/EF07"]
    assert [item.record for item in worked] == [1, 2, 3]  # the fourth is empty
    assert {item.file for item in report.sections["employment"].values} >= {"DF01/EF07", "DF01/EF09", "DF02/EF06"}


def test_an_unknown_code_shows_as_itself_with_a_warning() -> None:
    whole = find_persona("whole")
    files = whole.files | {"DF03/EF07": {"pension_type": "199"}}
    content = on(whole.model_copy(update={"files": files}), lambda card: card.file("DF03/EF07"))
    assert content.records[0].items[0].value == CodedValue(code="199", label=None, label_en=None)
    assert [(w.code, w.item) for w in content.warnings] == [("unknown-code", "pension_type")]


def surplus_card(quirks: dict[str, Any]) -> SoftwareCard:
    """A card that has more than its layout: a fourth degree, a fifth voucher, an item that no one knows."""
    whole = find_persona("whole")
    card = whole.model_copy(update={"quirks": whole.quirks.model_copy(update=quirks)}).card()
    files = {file.path: file for application in card.applications for file in application.by_id.values()}
    degree = files["DF01/EF15"].records[1]
    files["DF01/EF15"].records.append(degree[:-1] + b"\x41")
    files["DF03/EF19"].records.append(files["DF03/EF19"].records[0].replace(b"110", b"210"))
    files["DF03/EF07"].records.append(bytes.fromhex("FB024142"))
    return card


@pytest.mark.parametrize(
    "quirks",
    [{}, {"record_modes": frozenset({0, 4})}, {"record_modes": frozenset({4})}, {"wrong_length": WrongLength.CUT}],
    ids=str,
)
@pytest.mark.parametrize("history", [False, True], ids=["fresh", "after a plain card"])
def test_what_a_card_has_beyond_its_layout_is_shown_and_said(
    quirks: dict[str, Any], history: bool, store: CapabilityCache
) -> None:
    if history:
        plain = find_persona("whole")
        reader = SoftwareReader("r", plain.model_copy(update={"quirks": plain.quirks.model_copy(update=quirks)}).card())
        with SocialSecurityCard(reader.connect(), reader, capabilities=store) as card:
            card.dump()
    reader = SoftwareReader("r", surplus_card(quirks))
    with SocialSecurityCard(reader.connect(), reader, capabilities=store) as card:
        degrees, vouchers, pension = (card.file(path) for path in ("DF01/EF15", "DF03/EF19", "DF03/EF07"))
    assert (len(degrees.records), len(vouchers.records), len(pension.records)) == (5, 5, 7)
    assert [w.code for w in degrees.warnings] == [w.code for w in vouchers.warnings] == ["surplus-record"]
    assert [w.code for w in pension.warnings] == ["unknown-item"]


def test_settlements_are_counted_on_each_card_anew(store: CapabilityCache) -> None:
    """A card that had one must not hide those of the next, whatever a wrong length is answered with."""
    whole = find_persona("whole")
    for count in (1, 3, 2):
        records = whole.files["DF04/EF08"]["records"][:count]
        files = whole.files | {"DF04/EF08": {"records": records}}
        reader = SoftwareReader("r", Mixed(whole.model_copy(update={"files": files}).card()))
        with SocialSecurityCard(reader.connect(), reader, capabilities=store) as card:
            assert len(card.file("DF04/EF08").records) == count


class Mixed:
    """Tells the length where Le is too long, and cuts where it is too short."""

    def __init__(self, card: SoftwareCard) -> None:
        self._card = card
        self.atr, self.reset = card.atr, card.reset

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        if command[1] == 0xB2 and answer[0] == 0x6C and 0 < command[4] < answer[1]:
            return self._card.transmit(command[:4] + answer[1:2])[: command[4]] + b"\x90\x00"
        return answer


def test_blank_records_of_settlements_are_none() -> None:
    whole = find_persona("whole")
    listed = [*whole.files["DF04/EF08"]["records"], {}, {}]
    files = whole.files | {"DF04/EF08": {"records": listed}}
    report: Report = on(whole.model_copy(update={"files": files}), lambda card: card.report("insurance"))
    assert sum(item.file == "DF04/EF08" for item in report.sections["settlements"].values) == 3
    assert all(total.by is not None for total in report.totals)


class InProcess:
    protocol = TransmissionProtocol.T0

    def __init__(self, card: SoftwareCard) -> None:
        self.transmit = card.transmit


def whole_card(capabilities: FamilyCapabilities) -> Counts:
    channel = Channel(InProcess(find_persona("whole").card()))
    file_system = CardFileSystem(capabilities)
    channel.run(file_system.open())
    for file in file_system.layout.readable_files():
        channel.run(file_system.read(file.path, probe_optional=True))
    return channel.counts


def test_all_of_a_known_card_costs_80_commands() -> None:
    """The least by hand, from V2.0 at 256 bytes an answer: 8 SELECT; SSSE 1 + 1 + 3 + 16; DF01 7 + 5 x 2;
    DF02 2 + 1 + 2 + 1 + 1 + 1; DF03 2 + 7; DF04 4; DF05 2; DF06 2; DF07 3: 74. Beyond that one to see the end of
    the fingerprints, to which two sources give two sizes; one in DF05/EF05, where a record cut at 256 bytes is given
    again; and four where the card tells the length of a cyclic file, which cannot be known before.
    """
    capabilities = FamilyCapabilities()
    first, second = whole_card(capabilities), whole_card(capabilities)
    assert second == Counts(commands=80, characters=11045, refused=5)
    assert first.commands <= 86
