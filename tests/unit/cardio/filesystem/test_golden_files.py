"""Whole files from bytes written by hand after card.md (V2.0 tables 3 to 9 and B3 to B8, appendix C; the field, §2.10).

Each test knows the conversation by heart: what crosses the wire is asserted byte for byte, and what the answers say.
"""

from __future__ import annotations

from datetime import date, datetime

import pytest

from cardio.apdu.channel import Channel, TransmissionProtocol, Transport
from cardio.apdu.transcript import Transcript
from cardio.card.files import file_content
from cardio.filesystem.capabilities import AccessMethod, Addressing, FamilyCapabilities, Reference
from cardio.filesystem.card_file_system import CardFileSystem
from cardio.models.base import CodedValue
from cardio.models.files import FileContent, ItemContent

Exchanges = list[tuple[str, str]]
Line = tuple[str | None, str, object, str]
"""Tag, name, value, bytes; the value of an item with items inside is the list of their lines."""

SELECT = ("00A404000F7378312E73682EC9E7BBE1B1A3D5CF", "6118")
VERSIONS = {1: "312E3030", 2: "322E3030", 3: "332E3030"}
AT_ONCE = AccessMethod(reference=Reference.SFI, addressing=Addressing.ALL)
BY_NUMBER = AccessMethod(reference=Reference.SFI, addressing=Addressing.NUMBER)
QINGDAO, SHINAN, CHANGSHA = ("370200", "山东省青岛市"), ("370202", "山东省青岛市市南区"), ("430100", "湖南省长沙市")
TEST_UNIVERSITY = "B2E2CAD4B4F3D1A7"  # 测试大学


def issuer(generation: int) -> tuple[str, str]:
    """EF05, all at once: 40 hex bytes."""
    records = [
        "0110370200D15600000500000010FFFFFFFF",
        "020133",
        "0304" + VERSIONS[generation],
        "040C915600000237020037020001",
        "050420200101",
        "060420300101",
        "0709443231343335363958",
    ]
    return "00B2012D40", "".join(records) + "9000"


def dialogue(path: str, exchanges: Exchanges, generation: int, *, entered: bool = False) -> Exchanges:
    """All that crosses the wire until a file is read."""
    application = path.partition("/")[0]
    enter = [] if entered or application == "SSSE" else [(f"00A4000002{application}", "6114")]
    return [SELECT, issuer(generation), *enter, *exchanges]


def content_of(card: Transport, path: str, method: AccessMethod | None = None) -> FileContent:
    """One file; with an access method, as the second card of a family is read."""
    file_system = CardFileSystem(FamilyCapabilities(files={"SSSE/EF05": AT_ONCE, path: method} if method else {}))
    channel = Channel(card)
    channel.run(file_system.open())
    return file_content(file_system.layout, channel.run(file_system.read(path)))


def read(
    path: str, exchanges: Exchanges, method: AccessMethod | None = None, *, generation: int = 2, entered: bool = False
) -> FileContent:
    """What a file says, after exactly these exchanges."""
    card = Transcript(dialogue(path, exchanges, generation, entered=entered))
    content = content_of(card, path, method)
    assert card.finished
    return content


class Answers:
    """A card that answers what it knows in any order, and refuses the rest: where the way of asking is free."""

    protocol = TransmissionProtocol.T0

    def __init__(self, exchanges: Exchanges) -> None:
        self._answers = {bytes.fromhex(command): bytes.fromhex(answer) for command, answer in exchanges}

    def transmit(self, command: bytes) -> bytes:
        return self._answers.get(command, b"\x6a\x86")


def line(item: ItemContent) -> Line:
    value: object = item.value
    if item.items is not None:
        value = [line(inside) for inside in item.items]
    elif isinstance(item.value, CodedValue):
        value = (item.value.code, item.value.label)
    return item.tag, item.name, value, item.raw


def lines(content: FileContent) -> list[tuple[int, Line]]:
    """Records with tags: one item each, with its record number."""
    assert all(len(record.items) == 1 for record in content.records)
    return [(record.number, line(record.items[0])) for record in content.records]


def rows(content: FileContent) -> list[tuple[int, list[Line]]]:
    """Records without tags."""
    return [(record.number, [line(item) for item in record.items]) for record in content.records]


def values(content: FileContent) -> list[object]:
    return [value for _, (_, _, value, _) in lines(content)]


def is_quiet(content: FileContent) -> bool:
    return not content.unread and not content.warnings


# -- 2.0: records with tags ---------------------------------------------------------------------------------

VOUCHERS = [
    "7927180331313019033702021A04200007011B04201312311C044523610F1D033136321E0420140115",
    "7927180333313019033702021A04200101011B04201312311C041130900F1D033135361E0420140116",
    "7927180332313019034301001A04200203011B04FFFFFFFF1C040FFFFFFF1D033030301E0400000000",
    "7927" + "00" * 39,
]


def test_the_four_vouchers_are_told_apart_by_their_record_numbers() -> None:
    content = read("DF03/EF19", [("00B201CDA4", "".join(VOUCHERS) + "9000")])
    assert (content.structure, content.opened_by) == ("fixed", "free")
    assert [(record.number, record.title) for record in content.records] == [
        (1, "养老保险"),
        (2, "医疗保险"),
        (3, "失业保险"),
        (4, "预留"),
    ]
    first = [
        ("18", "insurance_type", ("110", "城镇企业职工基本养老保险"), "313130"),
        ("19", "voucher_region", SHINAN, "370202"),
        ("1A", "participated_from", date(2000, 7, 1), "20000701"),
        ("1B", "participated_until", date(2013, 12, 31), "20131231"),
        ("1C", "contributed_amount", 4523610, "4523610F"),
        ("1D", "contributed_months", 162, "313632"),
        ("1E", "voucher_date", date(2014, 1, 15), "20140115"),
    ]
    third = [
        ("18", "insurance_type", ("210", "失业保险"), "323130"),
        ("19", "voucher_region", CHANGSHA, "430100"),
        ("1A", "participated_from", date(2002, 3, 1), "20020301"),
        ("1B", "participated_until", None, "FFFFFFFF"),
        ("1C", "contributed_amount", 0, "0FFFFFFF"),
        ("1D", "contributed_months", 0, "303030"),
        ("1E", "voucher_date", None, "00000000"),
    ]
    told = lines(content)
    assert told[0] == (1, ("79", "participation_voucher", first, VOUCHERS[0][4:]))
    assert told[2] == (3, ("79", "participation_voucher", third, VOUCHERS[2][4:]))
    assert told[3] == (4, ("79", "participation_voucher", None, "00" * 39))
    assert is_quiet(content)


def test_parts_of_a_text_stand_side_by_side() -> None:
    """4B is 2 + 3 digits, 4F 2 + 2 + 2."""
    records = [
        "4C0420150302",
        "4B053130303130",
        "4D03370202",
        "600420140106",
        "4F06313031303030",
        "5003430100",
        "3A07C7E5BDE0B9A400",
    ]
    content = read("DF02/EF06", [("00B201352E", "".join(records) + "9000")])
    registration = [
        (None, "employment_registration_type", ("10", "实现就业登记"), "3130"),
        (None, "employment_form", ("010", "单位就业"), "303130"),
    ]
    unemployment = [
        (None, "unemployment_registration_type", ("10", "失业登记"), "3130"),
        (None, "unemployment_reason", ("10", "毕（肄）业"), "3130"),
        (None, "unemployment_cancellation", ("00", "（登记时不填）"), "3030"),
    ]
    assert lines(content) == [
        (1, ("4C", "employment_registration_date", date(2015, 3, 2), "20150302")),
        (2, ("4B", "employment_registration", registration, "3130303130")),
        (3, ("4D", "employment_region", SHINAN, "370202")),
        (4, ("60", "unemployment_registration_date", date(2014, 1, 6), "20140106")),
        (5, ("4F", "unemployment_registration", unemployment, "313031303030")),
        (6, ("50", "unemployment_region", CHANGSHA, "430100")),
        (7, ("3A", "occupation", "清洁工", "C7E5BDE0B9A400")),
    ]
    assert is_quiet(content)


def test_eight_characters_say_which_medical_insurance() -> None:
    records = [
        "81083331303131303030",
        "8403370202",
        "8711" + "3030303030303030303030303030303033",
        "8C0111",
        "800420010101",
        "8B1D" + "30" * 28 + "34",
        "8A0F" + "30" * 14 + "35",
        *(tag + "09" + "30" * 8 + "31" for tag in ("83", "86", "89", "7D", "7E", "7F", "8D")),
        "8E09" + "00" * 9,
        "8F0131",
    ]
    content = read("DF04/EF05", [("00B2012DB6", "".join(records) + "9000")])
    flags = [
        (None, "medical_insurance_type", ("310", "职工基本医疗保险"), "333130"),
        (None, "elsewhere_approved", ("1", "是"), "31"),
        (None, "outpatient_pooled", ("1", "是"), "31"),
        (None, "outpatient_serious", ("0", "否"), "30"),
        (None, "medical_assistance", ("0", "否"), "30"),
        (None, "preferential_medical", ("0", "否"), "30"),
    ]
    told = lines(content)
    assert told[0] == (1, ("81", "medical_insurance", flags, "3331303131303030"))
    assert told[3] == (4, ("8C", "medical_person_type", ("11", "在职"), "11"))
    assert told[15] == (16, ("8F", "card_use", ("1", "联网"), "31"))
    assert values(content)[4:15] == [date(2001, 1, 1), "0" * 28 + "4", "0" * 14 + "5", *["000000001"] * 7, None]
    assert is_quiet(content)


EDUCATION = "2A0121"
DEGREES = [
    "4034" + "5703343038" + "5803081201" + "5928" + TEST_UNIVERSITY + "00" * 32,
    "4034" + "5703333033" + "580303FFFF" + "5928" + TEST_UNIVERSITY + "FF" * 32,
    "4034" + "FF" * 52,
]


@pytest.mark.parametrize(
    ("records", "education", "degrees"),
    [
        ([EDUCATION, *DEGREES], 1, (2, 3, 4)),
        ([*DEGREES, EDUCATION], 4, (1, 2, 3)),
    ],
    ids=["as V2.0 has it", "education last"],
)
def test_three_degrees_stand_before_or_after_the_education(
    records: list[str], education: int, degrees: tuple[int, int, int]
) -> None:
    content = read("DF01/EF15", [("00B201ADA5", "".join(records) + "9000")])
    bachelor = [
        ("57", "degree_code", ("408", "工学学士"), "343038"),
        ("58", "field_of_study", "081201", "081201"),
        ("59", "school", "测试大学", TEST_UNIVERSITY + "00" * 32),
    ]
    master = [
        ("57", "degree_code", ("303", "法学硕士"), "333033"),
        ("58", "field_of_study", "03", "03FFFF"),
        ("59", "school", "测试大学", TEST_UNIVERSITY + "FF" * 32),
    ]
    told = dict(lines(content))
    assert list(told) == [1, 2, 3, 4]
    assert told[education] == ("2A", "education", ("21", "大学本科"), "21")
    assert [told[number] for number in degrees] == [
        ("40", "degree", bachelor, DEGREES[0][4:]),
        ("40", "degree", master, DEGREES[1][4:]),
        ("40", "degree", None, "FF" * 52),
    ]
    assert is_quiet(content)


@pytest.mark.parametrize(
    ("number", "exchanges"),
    [
        ("5510" + "33373032303230303030303030303031", ["00B2014D65"]),
        ("5508" + "3702020000000001", ["00B2014D65", "00B2014D5D"]),
    ],
    ids=["an 16, table 9", "eight packed bytes, appendix C"],
)
def test_a_certificate_has_its_number_in_either_form(number: str, exchanges: list[str]) -> None:
    issued_by = "B2E2CAD4CAD0C8CBC9E7BED6" + "00" * 58  # 测试市人社局
    records = number + "5646" + issued_by + "960420140106" + "9703370202"
    corrected = [("00B2014D65", "6C5D")] if len(exchanges) > 1 else []
    content = read("DF02/EF09", [*corrected, (exchanges[-1], records + "9000")])
    assert lines(content) == [
        (1, ("55", "certificate_number", "3702020000000001", number[4:])),
        (2, ("56", "certificate_issuer", "测试市人社局", issued_by)),
        (3, ("96", "certificate_date", date(2014, 1, 6), "20140106")),
        (4, ("97", "certificate_region", SHINAN, "370202")),
    ]
    assert is_quiet(content)


def test_relief_is_paid_until_a_month() -> None:
    payer = "B2E2CAD4C7F8C3F1D5FEBED6" + "00" * 58  # 测试区民政局
    relief = "E30104" + "E40420180601" + "E50420190601" + "E604500000FF" + "E703201905"
    records = ["C046" + payer, "C209303030303030303036", "C31A" + relief, "C41A" + "00" * 26, "C51A" + "FF" * 26]
    content = read("DF06/EF05", [("00B2012DA7", "".join(records) + "9000")])
    inside = [
        ("E3", "relief_type", ("04", "医疗救助"), "04"),
        ("E4", "relief_approved", date(2018, 6, 1), "20180601"),
        ("E5", "relief_reviewed", date(2019, 6, 1), "20190601"),
        ("E6", "relief_amount", 500000, "500000FF"),
        ("E7", "relief_month", "2019-05", "201905"),
    ]
    assert lines(content) == [
        (1, ("C0", "relief_payer", "测试区民政局", payer)),
        (2, ("C2", "relief_payer_code", "000000006", "303030303030303036")),
        (3, ("C3", "relief_1", inside, relief)),
        (4, ("C4", "relief_2", None, "00" * 26)),
        (5, ("C5", "relief_3", None, "FF" * 26)),
    ]
    assert is_quiet(content)


def test_an_application_without_id_and_name_is_selected_by_its_label() -> None:
    """人事人才信息区; V2.0 gives DF05 and DF06 nothing else, and a card may treat DF07 so."""
    exchanges = [
        ("00A4000002DF07", "6A82"),
        ("00A4040006D15600000504", "6A82"),
        ("00A404000EC8CBCAC2C8CBB2C5D0C5CFA2C7F8", "6114"),
        ("00B2013D09", "F80419981201" + "F90133" + "9000"),
    ]
    content = read("DF07/EF07", exchanges, entered=True)
    assert lines(content) == [
        (1, ("F8", "transfer_date", date(1998, 12, 1), "19981201")),
        (2, ("F9", "settlement_mode", ("3", "复员改转业"), "33")),
    ]
    assert is_quiet(content)


@pytest.mark.parametrize("fill", ["00", "FF"])
def test_items_of_nothing_but_fill_are_empty(fill: str) -> None:
    sizes = (("23", "50"), ("24", "03"), ("28", "0F"), ("2C", "32"), ("2D", "0F"))
    records = "".join(tag + size + fill * int(size, 16) for tag, size in sizes)
    content = read("DF01/EF06", [("00B20135AD", records + "9000")])
    assert [number for number, _ in lines(content)] == [1, 2, 3, 4, 5]
    assert values(content) == [None] * 5
    assert is_quiet(content)


@pytest.mark.parametrize(
    ("raw", "amount"), [("0FFFFFFF", 0), ("FFFFFFFF", None), ("00000000", None), ("12345FFF", 12345)]
)
def test_nought_is_an_amount_and_fill_is_none(raw: str, amount: int | None) -> None:
    content = read("DF04/EF06", [("00B201350D", "900130" + "9204" + raw + "93023033" + "9000")])
    assert lines(content) == [
        (1, ("90", "offline_allowed", ("0", "否"), "30")),
        (2, ("92", "offline_total", amount, raw)),
        (3, ("93", "offline_count", 3, "3033")),
    ]
    assert is_quiet(content)


# -- 2.0: records without tags --------------------------------------------------------------------------------

SETTLEMENT = "000C" + "32" + "370202000001" + "20261008093105" + "00000000" + "00000C4E" + "00003138"
CREDIT = "000B" + "31" + "370202000009" + "20260115080000" + "00007530" + "00000000" + "00000000"
SETTLEMENT_LINES: list[Line] = [
    (None, "transaction_number", 12, "000C"),
    (None, "transaction_type", ("2", "医疗结算"), "32"),
    (None, "terminal_number", "370202000001", "370202000001"),
    (None, "transaction_time", datetime(2026, 10, 8, 9, 31, 5), "20261008093105"),
    (None, "personal_account_amount", 0, "00000000"),
    (None, "self_paid_amount", 3150, "00000C4E"),
    (None, "pooled_fund_amount", 12600, "00003138"),
]
CREDIT_LINES: list[Line] = [
    (None, "transaction_number", 11, "000B"),
    (None, "transaction_type", ("1", "账户划入"), "31"),
    (None, "terminal_number", "370202000009", "370202000009"),
    (None, "transaction_time", datetime(2026, 1, 15, 8, 0, 0), "20260115080000"),
    (None, "personal_account_amount", 30000, "00007530"),
    (None, "self_paid_amount", 0, "00000000"),
    (None, "pooled_fund_amount", 0, "00000000"),
]


def test_transactions_have_binary_amounts_and_the_newest_is_number_one() -> None:
    content = read("DF04/EF08", [("00B2014500", "6C38"), ("00B2014538", SETTLEMENT + CREDIT + "9000")])
    assert content.structure == "cyclic"
    assert rows(content) == [(1, SETTLEMENT_LINES), (2, CREDIT_LINES)]
    assert is_quiet(content)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_one_transaction_is_all_where_a_card_gives_all_at_once(generation: int) -> None:
    exchanges = [("00B2014500", "6C1C"), ("00B201451C", CREDIT + "9000")]
    content = read("DF04/EF08", exchanges, generation=generation)
    assert rows(content) == [(1, CREDIT_LINES)]
    assert is_quiet(content)


def test_special_settlements_are_three_bytes_each_under_sfi_15_hex() -> None:
    content = read("DF04/EF15", [("00B201AD00", "6C09"), ("00B201AD09", "000C31" + "010039" + "000000" + "9000")])
    assert rows(content) == [
        (1, [(None, "transaction_number", 12, "000C"), (None, "settlement_category", ("1", "工伤"), "31")]),
        (2, [(None, "transaction_number", 256, "0100"), (None, "settlement_category", ("9", "其他"), "39")]),
        (3, [(None, "transaction_number", None, "0000"), (None, "settlement_category", None, "00")]),
    ]
    assert is_quiet(content)


def test_policies_have_codes_and_dates_and_no_tags() -> None:
    used = "303430" + "20140220" + "20140301" + "20140831" + "370202"
    content = read("DF02/EF16", [("00B201B500", "6C36"), ("00B201B536", used + "FF" * 18 + "00" * 18 + "9000")])
    told = rows(content)
    assert told[0] == (
        1,
        [
            (None, "policy_type", ("040", "职业培训补贴"), "303430"),
            (None, "policy_approved", date(2014, 2, 20), "20140220"),
            (None, "policy_from", date(2014, 3, 1), "20140301"),
            (None, "policy_until", date(2014, 8, 31), "20140831"),
            (None, "policy_region", SHINAN, "370202"),
        ],
    )
    for number in (2, 3):
        assert told[number - 1][0] == number
        assert {value for _, _, value, _ in told[number - 1][1]} == {None}
    assert is_quiet(content)


def employment(occupation: str, begins: str, ends: str, employer: str) -> str:
    return occupation + begins + ends + employer + "00" * (70 - len(employer) // 2)


def test_a_cyclic_file_of_more_than_256_bytes_is_read_on_from_the_first_record_that_was_cut() -> None:
    """Four records of 85 bytes: one answer carries three, and a byte of the fourth."""
    records = [
        employment("36303730313031", "20150302", "FFFFFFFF", "BCD7B3A7"),  # 甲厂
        employment("36303730313032", "20080901", "20131231", "D2D2B3A7"),  # 乙厂
        employment("36303730313033", "20000701", "20080831", "B1FBB3A7"),  # 丙厂
        employment("00000000000000", "19990101", "20000630", "B6A1B3A7"),  # 丁厂
    ]
    whole = "".join(records)
    assert len(whole) == 2 * 340
    exchanges = [
        ("00B2013D00", whole[:512] + "9000"),
        ("00B2043D00", "6C55"),
        ("00B2043D55", records[3] + "9000"),
    ]
    content = read("DF02/EF07", exchanges)
    assert rows(content) == [
        (
            number,
            [
                (None, "occupation", occupation, records[number - 1][:14]),
                (None, "employed_from", begins, records[number - 1][14:22]),
                (None, "employed_until", ends, records[number - 1][22:30]),
                (None, "employer", employer, records[number - 1][30:]),
            ],
        )
        for number, occupation, begins, ends, employer in [
            (1, "6070101", date(2015, 3, 2), None, "甲厂"),
            (2, "6070102", date(2008, 9, 1), date(2013, 12, 31), "乙厂"),
            (3, "6070103", date(2000, 7, 1), date(2008, 8, 31), "丙厂"),
            (4, None, date(1999, 1, 1), date(2000, 6, 30), "丁厂"),
        ]
    ]
    assert is_quiet(content)


# -- 1.0, and what was rewritten with the meaning of 2.0 (appendix C) --------------------------------------------


def test_wages_of_a_first_card_are_amounts() -> None:
    records = "3704350000FF" + "38044200000F" + "390420111231"
    content = read("DF01/EF0A", [("00B2015512", records + "9000")], generation=1)
    assert lines(content) == [
        (1, ("37", "contribution_base", 350000, "350000FF")),
        (2, ("38", "last_year_wages", 4200000, "4200000F")),
        (3, ("39", "wages_date", date(2011, 12, 31), "20111231")),
    ]
    assert is_quiet(content)


def test_the_same_items_ending_in_ee_are_nationality_and_party() -> None:
    """39 has no room for the mark: it follows 38."""
    records = "3704444555EE" + "38043133EEEE" + "390420010701"
    content = read("DF01/EF0A", [("00B2015512", records + "9000")], generation=1)
    assert lines(content) == [
        (1, ("37", "nationality", ("DEU", "德国"), "444555EE")),
        (2, ("38", "political_status", ("13", "群众"), "3133EEEE")),
        (3, ("39", "party_date", date(2001, 7, 1), "20010701")),
    ]
    assert is_quiet(content)


def test_a_party_date_does_not_follow_the_nationality() -> None:
    records = "3704444555EE" + "38044200000F" + "390420111231"
    content = read("DF01/EF0A", [("00B2015512", records + "9000")], generation=1)
    assert [name for _, (_, name, _, _) in lines(content)] == ["nationality", "last_year_wages", "wages_date"]
    assert values(content)[1:] == [4200000, date(2011, 12, 31)]


def test_packed_digits_of_a_first_card_ending_in_ee_are_registrations() -> None:
    """Old and new side by side: 50 is a date still, 4D a region already; the mark may begin amid a byte."""
    records = [
        "4B0410010EEE",
        "4C0420130203",
        "600420120605",
        "4D04370200EE",
        "4F04101000EE",
        "500420090101",
        "3A0736303730313031",
    ]
    content = read("DF02/EF06", [("00B201352D", "".join(records) + "9000")], generation=1)
    registration = [
        (None, "employment_registration_type", ("10", "实现就业登记"), "3130"),
        (None, "employment_form", ("010", "单位就业"), "303130"),
    ]
    unemployment = [
        (None, "unemployment_registration_type", ("10", "失业登记"), "3130"),
        (None, "unemployment_reason", ("10", "毕（肄）业"), "3130"),
        (None, "unemployment_cancellation", ("00", "（登记时不填）"), "3030"),
    ]
    assert lines(content) == [
        (1, ("4B", "employment_registration", registration, "10010EEE")),
        (2, ("4C", "employment_registration_date", date(2013, 2, 3), "20130203")),
        (3, ("60", "unemployment_registration_date", date(2012, 6, 5), "20120605")),
        (4, ("4D", "employment_region", QINGDAO, "370200EE")),
        (5, ("4F", "unemployment_registration", unemployment, "101000EE")),
        (6, ("50", "contract_start_date", date(2009, 1, 1), "20090101")),
        (7, ("3A", "occupation", "6070101", "36303730313031")),
    ]
    assert is_quiet(content)


def test_the_same_digits_without_ee_are_dates() -> None:
    dates = {"4B": "20050701", "4C": "20050702", "60": "00000000", "4D": "20050703", "4F": "FFFFFFFF", "50": "20050704"}
    records = "".join(tag + "04" + raw for tag, raw in dates.items()) + "3A07" + "00" * 7
    content = read("DF02/EF06", [("00B201352D", records + "9000")], generation=1)
    assert [(name, value) for _, (_, name, value, _) in lines(content)] == [
        ("first_employment_date", date(2005, 7, 1)),
        ("employment_registration_date", date(2005, 7, 2)),
        ("unemployment_registration_date", None),
        ("contract_signed_date", date(2005, 7, 3)),
        ("contract_end_date", None),
        ("contract_start_date", date(2005, 7, 4)),
        ("occupation", None),
    ]
    assert is_quiet(content)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (
            "90045678FFFF" + "92040FFFFFFF" + "93043400FFFF",
            [
                ("90", "personal_account_balance", 5678, "5678FFFF"),
                ("92", "self_paid_total", 0, "0FFFFFFF"),
                ("93", "pooled_fund_total", 3400, "3400FFFF"),
            ],
        ),
        (
            "900431EEEEEE" + "920412345EEE" + "93043033EEEE",
            [
                ("90", "offline_allowed", ("1", "是"), "31EEEEEE"),
                ("92", "offline_total", 12345, "12345EEE"),
                ("93", "offline_count", 3, "3033EEEE"),
            ],
        ),
        (
            "900430EEEEEE" + "920412345678" + "93043938EEEE",
            [
                ("90", "offline_allowed", ("0", "否"), "30EEEEEE"),
                ("92", "offline_total", 12345678, "12345678"),
                ("93", "offline_count", 98, "3938EEEE"),
            ],
        ),
    ],
    ids=["1.0", "rewritten", "rewritten, an amount without room for the mark"],
)
def test_the_account_of_a_first_card(records: str, expected: list[Line]) -> None:
    content = read("DF04/EF06", [("00B2013512", records + "9000")], generation=1)
    assert lines(content) == list(enumerate(expected, 1))
    assert is_quiet(content)


def test_long_names_of_a_first_card_give_way_to_short_values() -> None:
    """296 bytes: the first answer is cut amid the tenth record. 84 is a name still, with its continuation."""
    name = "B2E2CAD4" * 15 + "D2BD"  # 测试 fifteen times, 医: 62 bytes
    records = [
        "800420080701",
        "813E" + "3331303131303030" + "EE" * 54,
        "8208" + "00" * 8,
        "8309303030303030303031",
        "843E" + name,
        "8508" + "D4BA" + "00" * 6,
        "8609303030303030303032",
        "873E" + "30" * 16 + "33" + "EE" * 45,
        "8808" + "FF" * 8,
        "8909" + "00" * 9,
        "8A0F" + "30" * 15,
        "8B0A" + "30" * 9 + "34",
        "8C0131",
        "8F0132",
    ]
    whole = "".join(records)
    exchanges = [("00B2012D00", whole[:512] + "9000"), ("00B20A2D2E", "".join(records[9:]) + "9000")]
    content = read("DF04/EF05", exchanges, generation=1)
    told = dict(lines(content))
    assert list(told) == list(range(1, 15))
    insurance = [
        (None, "medical_insurance_type", ("310", "职工基本医疗保险"), "333130"),
        (None, "elsewhere_approved", ("1", "是"), "31"),
        (None, "outpatient_pooled", ("1", "是"), "31"),
        (None, "outpatient_serious", ("0", "否"), "30"),
        (None, "medical_assistance", ("0", "否"), "30"),
        (None, "preferential_medical", ("0", "否"), "30"),
    ]
    assert told[2] == ("81", "medical_insurance", insurance, records[1][4:])
    assert told[3] == ("82", "medical_institution_name_1_extension", None, "00" * 8)
    assert told[5] == ("84", "medical_institution_name_2", "测试" * 15 + "医院", name)
    assert told[8] == ("87", "health_record_number", "0" * 16 + "3", records[7][4:])
    assert told[14] == ("8F", "card_use", ("2", "脱网"), "32")
    assert is_quiet(content)


@pytest.mark.parametrize("fill", ["00", "EE"])
def test_issuer_and_date_of_a_certificate_follow_its_number(fill: str) -> None:
    issued_by = "B2E2CAD4CAD0C8CBC9E7BED6" + fill * 50  # 测试市人社局
    records = "550A4301020000000001EEEE" + "563E" + issued_by + "9508" + "00" * 8 + "960420130203" + "9704430100EE"
    content = read("DF02/EF09", [("00B2014D62", records + "9000")], generation=1)
    assert lines(content) == [
        (1, ("55", "certificate_number", "4301020000000001", "4301020000000001EEEE")),
        (2, ("56", "certificate_issuer", "测试市人社局", issued_by)),
        (3, ("95", "migrant_certificate_issuer_extension", None, "00" * 8)),
        (4, ("96", "certificate_date", date(2013, 2, 3), "20130203")),
        (5, ("97", "certificate_region", CHANGSHA, "430100EE")),
    ]
    assert is_quiet(content)


def test_the_mark_is_not_taken_out_of_a_character_that_ends_in_ee() -> None:
    """测试李, and 李 is C0EE: filled with EE, a lone C0 before the fill says that one EE is the character's own."""
    issued_by = "B2E2CAD4C0EE" + "EE" * 56
    records = "550A4301020000000001EEEE" + "563E" + issued_by + "9508" + "00" * 8 + "960420130203" + "9704430100EE"
    content = read("DF02/EF09", [("00B2014D62", records + "9000")], generation=1)
    assert lines(content)[1] == (2, ("56", "certificate_issuer", "测试李", issued_by))
    assert is_quiet(content)


# -- 3.0 ----------------------------------------------------------------------------------------------------


def test_a_third_card_has_a_person_number() -> None:
    records = "EA0C" + "333730323030303030303031" + "EB03370200" + "EC0131" + "ED0130"
    content = read("SSSE/EF0D", [("00B2016D19", records + "9000")], generation=3)
    assert lines(content) == [
        (1, ("EA", "person_number", "370200000001", "333730323030303030303031")),
        (2, ("EB", "first_issue_region", QINGDAO, "370200")),
        (3, ("EC", "flag_ec", "1", "31")),
        (4, ("ED", "flag_ed", "0", "30")),
    ]
    assert is_quiet(content)


@pytest.mark.parametrize("generation", [1, 2, 3])
def test_the_issuers_file_is_read_first_and_chooses_the_layout(generation: int) -> None:
    card = Transcript([SELECT, issuer(generation)])
    file_system = CardFileSystem(FamilyCapabilities())
    Channel(card).run(file_system.open())
    assert card.finished and file_system.layout.generation == generation
    content = file_content(file_system.layout, file_system.contents.files["SSSE/EF05"])
    identification, number = "370200D15600000500000010FFFFFFFF", "915600000237020037020001"
    assert lines(content) == [
        (1, ("01", "identification_code", identification, identification)),
        (2, ("02", "card_class", ("3", "成年人卡"), "33")),
        (3, ("03", "spec_version", f"{generation}.00", VERSIONS[generation])),
        (4, ("04", "issuer_number", number, number)),
        (5, ("05", "issue_date", date(2020, 1, 1), "20200101")),
        (6, ("06", "expiry_date", date(2030, 1, 1), "20300101")),
        (7, ("07", "card_number", "D2143569X", "443231343335363958")),
    ]
    assert is_quiet(content)


# -- transparent files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", [2, 3])
def test_a_photo_comes_in_sixteen_blocks(generation: int) -> None:
    blocks = [f"{number:02X}" * 256 for number in range(0xA0, 0xB0)]
    commands = ["00B0880000", *(f"00B0{high:02X}0000" for high in range(1, 16))]
    exchanges = [(command, block + "9000") for command, block in zip(commands, blocks, strict=True)]
    content = read("SSSE/EF08", exchanges, generation=generation)
    assert (content.structure, content.size, content.records) == ("transparent", 4096, ())
    assert content.content == "".join(blocks)
    assert is_quiet(content)


def test_a_card_that_does_not_carry_256_bytes_gives_its_photo_in_blocks_of_f0() -> None:
    """Seventeen blocks of F0 hex, and sixteen bytes."""
    photo = "".join(f"{number % 251:02X}" for number in range(4096))
    exchanges = [("00B0880000", "6700"), ("00B08800F0", photo[:480] + "9000")]
    for offset in range(240, 4080, 240):
        exchanges.append((f"00B0{offset:04X}F0", photo[2 * offset : 2 * offset + 480] + "9000"))
    exchanges.append(("00B00FF010", photo[-32:] + "9000"))
    content = read("SSSE/EF08", exchanges)
    assert (content.size, content.content) == (4096, photo)
    assert is_quiet(content)


def test_a_photo_that_breaks_off_is_said_to() -> None:
    exchanges = [("00B0880000", "FFD8" + "11" * 254 + "9000"), ("00B0010000", "6581")]
    content = read("SSSE/EF08", exchanges)
    assert (content.size, content.content) == (256, "FFD8" + "11" * 254)
    assert [(one.file, one.reason, one.driver_code) for one in content.unread] == [("SSSE/EF08", "card-error", -0x6581)]


@pytest.mark.parametrize(
    ("generation", "exchanges", "size"),
    [
        (1, [("00B0870000", 256), ("00B0010000", 256), ("00B0020000", 256)], 768),
        (2, [("00B0870000", 256), ("00B0010000", 256), ("00B0020000", 256), ("00B0030000", 0)], 768),
        (3, [("00B0870000", 256), ("00B0010000", 256), ("00B0020000", 256), ("00B0030000", 256)], 1024),
    ],
    ids=["1.0", "2.0 as V2.0 says", "3.0 as long as an issuing tool says"],
)
def test_fingerprints_are_counted_and_not_shown(generation: int, exchanges: list[tuple[str, int]], size: int) -> None:
    answers = [(command, "5A" * length + "9000" if length else "6B00") for command, length in exchanges]
    content = read("SSSE/EF07", answers, generation=generation)
    assert (content.size, content.content) == (size, None)
    assert is_quiet(content)


def test_a_reserved_file_has_296_bytes_under_sfi_16_hex() -> None:
    exchanges = [("00B0960000", "01" * 256 + "9000"), ("00B0010028", "02" * 40 + "9000")]
    content = read("DF01/EF16", exchanges)
    assert (content.size, content.content) == (296, "01" * 256 + "02" * 40)
    assert is_quiet(content)


# -- what is damaged is reported, and the rest stands ---------------------------------------------------------


def test_a_chain_with_a_length_that_lies_is_reported_and_what_came_before_stands() -> None:
    lying = VOUCHERS[1].replace("1E0420140116", "1E0520140116")
    content = read("DF03/EF19", [("00B201CDA4", VOUCHERS[0] + lying + VOUCHERS[2] + VOUCHERS[3] + "9000")])
    assert [(one.file, one.item, one.reason) for one in content.unread] == [
        ("DF03/EF19", "participation_voucher", "undecodable")
    ]
    inside = content.records[1].items[0].items
    assert inside is not None
    assert [item.name for item in inside][:6] == [
        "insurance_type",
        "voucher_region",
        "participated_from",
        "participated_until",
        "contributed_amount",
        "contributed_months",
    ]
    assert inside[4].value == 1130900
    assert content.records[1].items[0].raw == lying[4:]


@pytest.mark.parametrize(
    ("record", "length"),
    [("7925" + VOUCHERS[1][4:-4], "27"), ("7921" + VOUCHERS[1][4:-12], "23")],
    ids=["in the middle of an item", "between two items"],
)
def test_a_record_that_ends_before_its_chain_does_is_reported(record: str, length: str) -> None:
    """All items of V2.0 are mandatory: a chain that ends early lacks some."""
    exchanges = [
        ("00B201CC29", VOUCHERS[0] + "9000"),
        ("00B202CC29", "6C" + length),
        (f"00B202CC{length}", record + "9000"),
        ("00B203CC29", VOUCHERS[2] + "9000"),
        ("00B204CC29", VOUCHERS[3] + "9000"),
    ]
    content = read("DF03/EF19", exchanges, BY_NUMBER)
    assert [record.number for record in content.records] == [1, 2, 3, 4]
    inside = content.records[1].items[0].items
    assert inside is not None and [item.value for item in inside][4:6] == [1130900, 156]
    assert content.unread or content.warnings


RESIDENCE = ["2350" + "C7E0B5BA" + "00" * 76, "2403370202", "280F" + "30" * 11 + "00" * 4]
CONTACT = ["2C32" + "B2E2CAD4D2D2" + "00" * 44, "2D0F" + "30" * 10 + "32" + "00" * 4]


def test_a_value_longer_than_its_item_is_shown_and_said_to_be() -> None:
    telephone = "2814" + "31" * 20
    exchanges = [
        ("00B2013452", RESIDENCE[0] + "9000"),
        ("00B2023405", RESIDENCE[1] + "9000"),
        ("00B2033411", "6C16"),
        ("00B2033416", telephone + "9000"),
        ("00B2043434", CONTACT[0] + "9000"),
        ("00B2053411", CONTACT[1] + "9000"),
    ]
    content = read("DF01/EF06", exchanges, BY_NUMBER)
    assert lines(content)[2] == (3, ("28", "telephone", "1" * 20, "31" * 20))
    assert values(content) == ["青岛", SHINAN, "1" * 20, "测试乙", "00000000002"]
    assert [(warning.code, warning.item) for warning in content.warnings] == [("overlong", "telephone")]
    assert content.unread == ()


def test_a_longer_value_does_not_shift_what_follows_where_all_comes_at_once() -> None:
    """Since a length is not as defined the other ways of asking are tried; they show no more."""
    whole = RESIDENCE[0] + RESIDENCE[1] + "2814" + "31" * 20 + CONTACT[0] + CONTACT[1]
    exchanges = [
        ("00B20135AD", "6CB2"),
        ("00B20135B2", whole + "9000"),
        ("00A4020002EF06", "6A86"),
        ("00A4000002EF06", "6A86"),
        ("00B2013452", RESIDENCE[0] + "9000"),
        ("00B2023405", RESIDENCE[1] + "9000"),
        ("00B2033411", "6C16"),
        ("00B2033416", "2814" + "31" * 20 + "9000"),
        ("00B2043434", CONTACT[0] + "9000"),
        ("00B2053411", CONTACT[1] + "9000"),
    ]
    content = read("DF01/EF06", exchanges)
    assert values(content) == ["青岛", SHINAN, "1" * 20, "测试乙", "00000000002"]
    assert [(warning.code, warning.item) for warning in content.warnings] == [("overlong", "telephone")]


def test_a_last_record_that_is_cut_short_is_reported_and_the_others_stand() -> None:
    cut = CONTACT[1][:-10]
    whole = "".join(RESIDENCE) + CONTACT[0]
    exchanges = [
        ("00B20135AD", whole + cut + "9000"),
        ("00B2053511", cut + "9000"),
        ("00B2053500", cut + "9000"),
        ("00A4020002EF06", "6A86"),
        ("00A4000002EF06", "6A86"),
        ("00B2013452", RESIDENCE[0] + "9000"),
        ("00B2023405", RESIDENCE[1] + "9000"),
        ("00B2033411", RESIDENCE[2] + "9000"),
        ("00B2043434", CONTACT[0] + "9000"),
        ("00B2053411", cut + "9000"),
        ("00B2053411", cut + "9000"),
    ]
    content = read("DF01/EF06", exchanges)
    assert values(content) == ["青岛", SHINAN, "0" * 11, "测试乙"]
    assert [(one.file, one.item, one.reason) for one in content.unread] == [
        ("DF01/EF06", "contact_telephone", "garbled")
    ]


CUT_TRANSACTION = CREDIT[:34]
"""Number, type, terminal and time, a byte of the first amount; 17 bytes of 28."""


def test_a_cyclic_answer_that_is_no_whole_number_of_records_is_read_one_by_one() -> None:
    exchanges = [
        ("00B2014500", SETTLEMENT + CREDIT + CUT_TRANSACTION + "9000"),
        ("00A4020002EF08", "6A86"),
        ("00A4000002EF08", "6A86"),
        ("00B201441C", SETTLEMENT + "9000"),
        ("00B202441C", CREDIT + "9000"),
        ("00B203441C", CUT_TRANSACTION + "9000"),
        ("00B204441C", "6A83"),
    ]
    content = read("DF04/EF08", exchanges)
    assert rows(content)[:2] == [(1, SETTLEMENT_LINES), (2, CREDIT_LINES)]
    assert [(one.file, one.item, one.reason) for one in content.unread] == [("DF04/EF08", "3", "garbled")]


def test_bytes_that_are_not_there_are_no_amounts() -> None:
    """Of a record that is cut short, what is left stands; nothing is made up for the rest."""
    exchanges = [
        ("00B201441C", SETTLEMENT + "9000"),
        ("00B202441C", CUT_TRANSACTION + "9000"),
        ("00B203441C", "6A83"),
    ]
    content = read("DF04/EF08", exchanges, BY_NUMBER)
    assert [(one.file, one.item, one.reason) for one in content.unread] == [("DF04/EF08", "2", "garbled")]
    last = {name: value for _, name, value, _ in rows(content)[-1][1]}
    assert last.get("transaction_number") in (11, None)
    amounts = ("personal_account_amount", "self_paid_amount", "pooled_fund_amount")
    assert [last.get(name) for name in amounts] == [None, None, None]


@pytest.mark.parametrize(
    "exchanges",
    [
        [("00B2014500", CREDIT * 9 + CREDIT[:8] + "9000"), ("00B20A4500", "6A83")],
        [
            ("00B2014500", "6100"),
            ("00C0000000", (CREDIT * 11)[:512] + "612C"),
            ("00C000002C", (CREDIT * 11)[512:600] + "9000"),
            ("00B20B4500", "6A83"),
        ],
    ],
    ids=["256 bytes", "300 bytes"],
)
def test_what_is_left_behind_the_last_whole_record_is_reported(exchanges: Exchanges) -> None:
    """The card has no further record, so what is left is one that was cut; how often it is asked again is free."""
    card = Answers([SELECT, issuer(2), ("00A4000002DF04", "6114"), *exchanges])
    content = content_of(card, "DF04/EF08")
    assert len(content.records) >= 9 or not content.records
    assert content.unread or content.warnings


def test_a_time_without_its_seconds_is_not_guessed_at() -> None:
    """09:31, and not 09:03:01."""
    record = SETTLEMENT.replace("20261008093105", "202610080931FF")
    content = read("DF04/EF08", [("00B2014500", "6C38"), ("00B2014538", record + CREDIT + "9000")])
    told = {name: (value, raw) for _, name, value, raw in rows(content)[0][1]}
    assert told["transaction_time"] == (None, "202610080931FF")
    assert [(one.item, one.reason) for one in content.unread] == [("transaction_time", "undecodable")]


def test_a_voucher_that_the_card_refuses_leaves_the_others_their_numbers() -> None:
    exchanges = [
        ("00B201CC29", VOUCHERS[0] + "9000"),
        ("00B202CC29", "6581"),
        ("00B203CC29", VOUCHERS[2] + "9000"),
        ("00B204CC29", VOUCHERS[3] + "9000"),
    ]
    content = read("DF03/EF19", exchanges, BY_NUMBER)
    assert [(one.item, one.reason) for one in content.unread] == [("participation_voucher", "card-error")]
    assert [(record.number, record.title) for record in content.records] == [
        (1, "养老保险"),
        (3, "失业保险"),
        (4, "预留"),
    ]


def test_a_transaction_that_the_card_refuses_does_not_hide_those_after_it() -> None:
    card = Answers(
        [
            *[SELECT, issuer(2), ("00A4000002DF04", "6114")],
            ("00B201441C", SETTLEMENT + "9000"),
            ("00B202441C", "6581"),
            ("00B203441C", CREDIT + "9000"),
            ("00B204441C", "6A83"),
        ]
    )
    content = content_of(card, "DF04/EF08", BY_NUMBER)
    assert [(one.item, one.reason) for one in content.unread] == [("2", "card-error")]
    assert rows(content) == [(1, SETTLEMENT_LINES), (3, CREDIT_LINES)]
