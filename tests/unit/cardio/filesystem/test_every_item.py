"""Every item of every generation: written on a software card, read by APDUs, compared value for value.

The cases come from the layouts, so a new file or item is tested as soon as it stands in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from functools import cache, partial
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardio.apdu.channel import Channel
from cardio.card.files import file_content
from cardio.filesystem.capabilities import FamilyCapabilities
from cardio.filesystem.card_file_system import ISSUER_FILE, CardFileSystem
from cardio.filesystem.layouts.loader import GENERATIONS, layout_of
from cardio.filesystem.layouts.model import File, Format, Item, Kind, Structure
from cardio.models.base import CodedValue
from cardio.models.files import FileContent, ItemContent
from simulators.card.encoding import text_bytes
from simulators.card.files import build_applications
from simulators.card.quirks import CardQuirks, WrongLength
from simulators.card.software_card import SoftwareCard
from simulators.personas.persona import Persona, find_persona
from simulators.readers.software_reader import SoftwareReader

Values = Mapping[str, Any]
Expected = object
"""What an item says: a value, the code of a coded one, or a table of what is inside."""
Record = tuple[tuple[str | None, str, Expected], ...]
"""Tag, name and what it says, of each item of a record."""
Draw = Callable[[st.SearchStrategy[Any]], Any]

PERSONAS = {1: find_persona("whole-first"), 2: find_persona("whole"), 3: find_persona("whole-third")}
READABLE = [
    (generation, file.path)
    for generation in GENERATIONS
    for file in layout_of(generation).files()
    if file.structure is not Structure.INTERNAL
]


# -- values that an item may have ------------------------------------------------------------------------------

# Letters and marks in one, two and four bytes, among them some that GB 18030 moved in 2022 and some that end in EE.
_CHARACTERS = st.sampled_from("AZaz09.-( 测试市区县局李侯检款〇·㐂龴龻\U0002cb3e\U00020087") | st.characters(
    exclude_categories=("Cs", "Co", "Cc", "Cf", "Zs", "Zl", "Zp", "Cn"), exclude_characters="\u115f\u1160\u3164\uffa0"
)


@cache
def texts(size: int) -> st.SearchStrategy[str]:
    """Texts of at most so many bytes, some of them full."""

    def fit(text: str, often: int) -> str:
        text = (text * often).strip()
        while len(text_bytes(text)) > size:
            text = text[:-1].strip()
        # A persona's "hex:" gives the bytes themselves.
        return text if text and not text.startswith("hex:") else "1"

    drawn = st.text(_CHARACTERS, min_size=1, max_size=12)
    return st.builds(fit, drawn, st.sampled_from((1, 1, size)))


@cache
def scalars(item: Item, generation: int) -> st.SearchStrategy[Expected]:
    """What an item may say; for a code, the code."""
    size = item.length
    match item.kind:
        case Kind.CODE:
            room = 2 * size if item.format is Format.CN else size
            table = layout_of(generation).code_table(item.codes or "")
            return st.sampled_from([code for code in table.rows if len(code) <= room])
        case Kind.DATE:
            return st.dates(min_value=date(1000, 1, 1))
        case Kind.TIME:
            return st.datetimes(min_value=datetime(1000, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
        case Kind.MONTH:
            return st.dates(min_value=date(1000, 1, 1)).map(lambda day: f"{day:%Y-%m}")
        case Kind.HEX:
            blank = (bytes(size), b"\xff" * size)
            drawn = st.binary(min_size=size, max_size=size).filter(lambda raw: raw not in blank)
            return drawn.map(lambda raw: raw.hex().upper())
        case Kind.AMOUNT | Kind.NUMBER:
            most = {Format.B: 256**size, Format.CN: 10 ** (2 * size), Format.AN: 10**size}[item.format]
            return st.integers(0, most - 1)
        case Kind.DIGITS:
            # Nothing but noughts is an empty item.
            return st.text("0123456789", min_size=1, max_size=2 * size).map(lambda d: d if d.strip("0") else "1")
        case Kind.TEXT:
            return texts(size)
    raise AssertionError(f"nothing is known of {item.kind}")


def perhaps(draw: Draw, strategy: st.SearchStrategy[Any], *, full: bool) -> Any:
    """A value, or none."""
    return draw(strategy) if full or draw(st.integers(0, 4)) else None


def inside(draw: Draw, item: Item, generation: int, *, full: bool) -> dict[str, Expected]:
    """What an item with items inside says. Parts are all there; in a chain some may be empty."""
    some = full or item.format is not Format.B_TLV
    return {one.name: perhaps(draw, scalars(one, generation), full=some) for one in item.items}


def one_value(draw: Draw, item: Item, generation: int, *, full: bool) -> tuple[Any, Expected]:
    """What a persona says of an item, and what its card must say of it."""
    if item.kind is not Kind.ITEMS:
        value = perhaps(draw, scalars(item, generation), full=full)
        return value, value
    blank = None if full or draw(st.integers(0, 4)) else draw(st.sampled_from(("00", "FF")))
    if blank is not None:
        return "hex:" + blank * item.length, None
    told = inside(draw, item, generation, full=full)
    return told, told


# -- what a file may hold --------------------------------------------------------------------------------------


def tagged(
    draw: Draw, file: File, generation: int, *, full: bool, rewritten: bool | None
) -> tuple[Values, list[Record]]:
    """All items of a file whose records have tags, 1.0 items with either meaning."""
    given_values: dict[str, Any] = {}
    records: list[Record] = []
    is_new: dict[str, bool] = {}
    for item in sorted(file.items, key=lambda one: one.revised_with is not None):
        if item.revised is not None:
            witness = item.revised_with or item.name
            if witness not in is_new:
                is_new[witness] = draw(st.booleans()) if rewritten is None else rewritten
            is_new[item.name] = is_new[witness]
    for item in file.items:
        new = is_new.get(item.name, False)
        meant = item.revised if new and item.revised is not None else item
        tag = f"{item.tag:02X}"
        extension = next((other for other in file.items if other.extends == item.name), None)
        if item.extends is not None and not is_new.get(item.extends, False):
            records.append(((tag, item.name, None),))  # its text is told by the item that it continues
        elif item.name == "spec_version":
            value = f"{generation}." + draw(st.sampled_from(("0", "00", "01")))
            given_values[item.name] = value
            records.append(((tag, item.name, value),))
        elif file.repeats(item) > 1:
            times = file.repeats(item)
            drawn = [
                one_value(draw, item, generation, full=full)
                for _ in range(times if full else draw(st.integers(0, times)))
            ]
            given_values[item.name] = [content for content, _ in drawn]
            told = [value for _, value in drawn]
            # Those that are not given are there, with nothing in the items inside.
            told += [dict.fromkeys(one.name for one in item.items)] * (times - len(told))
            records += [((tag, item.name, value),) for value in told]
        elif extension is not None and not new:
            room = item.length + extension.length
            text = perhaps(draw, texts(room).filter(partial(splits_well, item)), full=full)
            given_values[item.name] = text
            records.append(((tag, item.name, text),))
        else:
            content, value = one_value(draw, meant, generation, full=full or (new and meant.kind is Kind.ITEMS))
            if new and meant.kind is Kind.TEXT and isinstance(value, str) and text_bytes(value).endswith(b"\xee"):
                content, value = value + "1", value + "1"  # see test_golden_files: the mark and a character's own EE
                if len(text_bytes(value)) > meant.length:
                    content = value = "1"
            if item.stray and value is None:
                continue  # what is not given does not stand there at all
            given_values[meant.name] = content
            records.append(((tag, meant.name, value),))
    return given_values, records


def splits_well(item: Item, text: str) -> bool:
    """What a field and its extension cannot tell: a blank at the gap is fill, EE at the end is the mark of 2.0."""
    head = text_bytes(text)[: item.length]
    return len(head) < item.length or not head.endswith((b" ", b"\xee"))


def untagged(draw: Draw, file: File, generation: int, *, full: bool) -> tuple[Values, list[Record]]:
    """Up to as many records as the specification asks for, often the same ones in turn."""
    kinds: list[tuple[Any, Record]] = []
    for _ in range(3):
        blank = None if full or draw(st.integers(0, 3)) else draw(st.sampled_from(("00", "FF")))
        if blank is not None:
            kinds.append(("hex:" + blank * file.record_size, tuple((None, item.name, None) for item in file.items)))
            continue
        told = {
            # Bytes are never empty; a code keeps a record from being all blank.
            item.name: perhaps(
                draw,
                scalars(item, generation),
                full=full or item.format is Format.B or item.kind is Kind.CODE,
            )
            for item in file.items
        }
        kinds.append((told, tuple((None, name, value) for name, value in told.items())))
    count = (file.records or 0) if full else draw(st.integers(0, file.records or 0))
    chosen = [kinds[number % len(kinds)] for number in range(count)]
    return {"records": [content for content, _ in chosen]}, [record for _, record in chosen]


def bytes_of(draw: Draw, file: File) -> bytes:
    length: int = draw(st.integers(0, file.size or 0) | st.sampled_from(file.sizes))
    pattern: bytes = draw(st.binary(min_size=1, max_size=40))
    return (pattern * (length // len(pattern) + 1))[:length]


def draw_file(
    draw: Draw, file: File, generation: int, *, full: bool = False, rewritten: bool | None = None
) -> tuple[Values, list[Record] | bytes]:
    """What a persona says of a file, and what its card must give."""
    match file.structure:
        case Structure.TRANSPARENT:
            content = bytes_of(draw, file)
            return {"content": content}, content.ljust(file.size or 0, b"\x00")
        case Structure.VARIABLE | Structure.FIXED if file.has_tags:
            return tagged(draw, file, generation, full=full, rewritten=rewritten)
        case Structure.CYCLIC:
            return untagged(draw, file, generation, full=full)
    raise AssertionError(f"nothing is known of {file.structure} as {file.path} is")


# -- writing and reading ------------------------------------------------------------------------------------------


@cache
def others(generation: int, kept: frozenset[str]) -> frozenset[str]:
    return frozenset(file.path for file in layout_of(generation).files()) - kept


def card_with(generation: int, files: Mapping[str, Values]) -> SoftwareCard:
    """A laboratory's card with these files alone, and the issuer's."""
    persona = PERSONAS[generation]
    values = {ISSUER_FILE: persona.files[ISSUER_FILE], **files}
    applications = build_applications(layout_of(generation), values, omit=others(generation, frozenset(values)))
    return SoftwareCard(persona.atr, applications, quirks=persona.quirks, algorithm_marker=persona.algorithm)


def begin(card: SoftwareCard, capabilities: FamilyCapabilities) -> tuple[CardFileSystem, Channel]:
    file_system, channel = CardFileSystem(capabilities), Channel(SoftwareReader("software", card).connect())
    channel.run(file_system.open())
    return file_system, channel


def expected_of(item: ItemContent) -> Expected:
    if item.items is not None:
        return {one.name: expected_of(one) for one in item.items}
    if isinstance(item.value, CodedValue):
        assert item.value.label, f"{item.name}: {item.value.code} has no words"
        return item.value.code
    return item.value


def records_of(content: FileContent) -> list[Record]:
    assert [record.number for record in content.records] == list(range(1, len(content.records) + 1))
    return [tuple((item.tag, item.name, expected_of(item)) for item in record.items) for record in content.records]


def check(file_system: CardFileSystem, channel: Channel, file: File, expected: list[Record] | bytes) -> FileContent:
    """Reads a file, which must say what is expected and nothing beside."""
    reading = channel.run(file_system.read(file.path))
    content = file_content(file_system.layout, reading)
    assert content.warnings == ()
    if isinstance(expected, bytes):
        assert (reading.content, content.size) == (expected, len(expected))
    else:
        assert records_of(content) == expected
    never_written = file.structure is Structure.CYCLIC and not expected
    assert [unread.reason for unread in content.unread] == (["empty"] if never_written else [])
    return content


@pytest.mark.parametrize(("generation", "path"), READABLE, ids=[f"{g}.0-{path}" for g, path in READABLE])
@settings(max_examples=15)
@given(data=st.data())
def test_every_item_of_a_file_comes_back_from_a_card(generation: int, path: str, data: st.DataObject) -> None:
    file = layout_of(generation).file(path)
    assert file is not None
    values, expected = draw_file(data.draw, file, generation)
    file_system, channel = begin(card_with(generation, {path: values}), FamilyCapabilities())
    assert file_system.layout is layout_of(generation)
    check(file_system, channel, file, expected)


# -- nothing escapes ------------------------------------------------------------------------------------------------


def names_in(items: tuple[Item, ...], *, rewritten: bool) -> Iterator[str]:
    """Every item that has something to say of its own, with those inside."""
    for item in items:
        meant = item.revised if rewritten and item.revised is not None else item
        bases = [other for other in items if other.name == item.extends]
        if bases and not (rewritten and bases[0].revised is not None):
            continue
        if meant.items:
            yield from (f"{meant.name}/{name}" for name in names_in(meant.items, rewritten=rewritten))
        else:
            yield meant.name


def names_of(items: tuple[ItemContent, ...]) -> Iterator[str]:
    for item in items:
        if item.items is not None:
            yield from (f"{item.name}/{name}" for name in names_of(item.items))
        elif item.value is not None:
            yield item.name


@pytest.mark.parametrize(
    ("generation", "rewritten"),
    [(1, False), (1, True), (2, False), (3, False)],
    ids=["1.0", "1.0 rewritten", "2.0", "3.0"],
)
@settings(max_examples=3)
@given(data=st.data())
def test_a_full_card_has_a_value_for_every_item_of_every_file(
    generation: int, rewritten: bool, data: st.DataObject
) -> None:
    """All files on one card, every item written as often as it may stand there: none is left out, none is not read."""
    layout = layout_of(generation)
    readable = [file for file in layout.files() if file.structure is not Structure.INTERNAL]
    assert [(generation, file.path) for file in readable] == [case for case in READABLE if case[0] == generation]
    drawn = {
        file.path: draw_file(data.draw, file, generation, full=True, rewritten=rewritten and generation == 1)
        for file in readable
    }
    file_system, channel = begin(
        card_with(generation, {path: values for path, (values, _) in drawn.items()}), FamilyCapabilities()
    )
    for file in readable:
        content = check(file_system, channel, file, drawn[file.path][1])
        told = {name for record in content.records for name in names_of(record.items)}
        assert told == set(names_in(file.items, rewritten=rewritten))
        if file.structure is not Structure.TRANSPARENT:
            expected = sum(file.repeats(item) for item in file.items) if file.has_tags else file.records
            assert len(content.records) == expected
    assert set(file_system.contents.files) == {file.path for file in readable}


# -- whatever the card's quirks ----------------------------------------------------------------------------------------


def with_several(persona: Persona) -> Persona:
    """Every item that may stand several times does, each time with another value."""

    def voucher(code: str, amount: int) -> Values:
        return {"insurance_type": code, "contributed_amount": amount, "voucher_date": date(2014, 1, 1)}

    several: dict[str, Values] = {
        "DF01/EF15": {"education": "21", "degree": [{"degree_code": code} for code in ("408", "303", "201")]},
        "DF02/EF05": {
            "skill_qualification": [{"qualification_code": code} for code in ("6070101", "6070102")],
            "professional_qualification": [{"qualification_code": code} for code in ("001", "002")],
        },
        "DF02/EF15": {"assistance": [{"assistance_type": code} for code in ("010", "020", "030", "040")]},
        "DF03/EF06": {"confirmation": [{"device": name} for name in ("甲", "乙", "丙")]},
        "DF03/EF19": {
            "participation_voucher": [voucher(*one) for one in zip(("110", "310", "210", "410"), range(4), strict=True)]
        },
        "DF05/EF05": {
            "forbidden_drug": [{"drug_code": f"000{number}"} for number in range(5)],
            "serious_illness": [{"illness_code": f"00{number}"} for number in range(5)],
        },
    }
    return persona.model_copy(update={"files": persona.files | several})


WHOLE = PERSONAS[2]
SEVERAL = with_several(WHOLE)
BY_IDENTIFIER = frozenset({0, 1, 2, 3})


def with_quirks(persona: Persona, quirks: CardQuirks) -> Persona:
    return persona.model_copy(update={"quirks": quirks})


def dump(persona: Persona, capabilities: FamilyCapabilities) -> dict[str, FileContent]:
    file_system, channel = begin(persona.card(), capabilities)
    return {
        path: file_content(file_system.layout, channel.run(file_system.read(path)))
        for generation, path in READABLE
        if generation == persona.generation
    }


@cache
def usual_dump(persona_id: int) -> dict[str, FileContent]:
    """By default quirks, of the whole persona or the one with several of everything."""
    return dump((WHOLE, SEVERAL)[persona_id], FamilyCapabilities())


QUIRKS = [
    WHOLE.quirks.model_copy(
        update={"record_modes": modes, "read_all_as_one": as_one, "sfi": sfi, "wrong_length": wrong}
    )
    for (modes, as_one), sfi, wrong in product(
        [
            (WHOLE.quirks.record_modes, False),
            (WHOLE.quirks.record_modes, True),
            (frozenset({0, 4}), False),
            (frozenset({4}), False),
            (BY_IDENTIFIER, False),
        ],
        (True, False),
        WrongLength,
    )
]
QUIRKS += [
    WHOLE.quirks.model_copy(update={"sfi": False, "select_file_p1": frozenset({0x00})}),
    WHOLE.quirks.model_copy(update={"sfi": False, "select_file_p1": frozenset({0x02})}),
    WHOLE.quirks.model_copy(update={"select_application_p1": frozenset({0x01})}),
    WHOLE.quirks.model_copy(update={"select_application_p1": frozenset({0x04})}),
    WHOLE.quirks.model_copy(update={"data_at_once": True, "application_at_power_up": True}),
]


def quirks_id(quirks: CardQuirks) -> str:
    said = quirks.model_dump(exclude_defaults=True, exclude={"all_files_open"})
    return "-".join(f"{name}={sorted(v) if isinstance(v, frozenset) else v}" for name, v in said.items()) or "usual"


@pytest.mark.parametrize("persona", [0, 1], ids=["whole", "several of everything"])
@pytest.mark.parametrize("quirks", QUIRKS, ids=quirks_id)
def test_whatever_its_quirks_a_card_says_the_same(quirks: CardQuirks, persona: int) -> None:
    usual = usual_dump(persona)
    card = with_quirks((WHOLE, SEVERAL)[persona], quirks)
    learnt = FamilyCapabilities()
    first = dump(card, learnt)
    for path, content in first.items():
        if quirks.record_modes == BY_IDENTIFIER and content.structure == "cyclic":
            # Its records have no identifier: the card says so, and so does the answer.
            assert content.records == () and [unread.file for unread in content.unread] == [path]
        else:
            assert content == usual[path]
    # What the first card taught must not cost the second anything.
    second = dump(card, learnt)
    assert {path: (content.records, content.content, content.size) for path, content in second.items()} == {
        path: (content.records, content.content, content.size) for path, content in first.items()
    }


def test_items_that_stand_several_times_are_all_in_the_dump() -> None:
    """That the dumps above are equal says something only if nothing is missing from the usual one."""
    usual = usual_dump(1)

    def said(path: str, name: str) -> list[Expected]:
        return [
            expected_of(one)
            for record in usual[path].records
            for item in record.items
            for one in item.items or ()
            if one.name == name
        ]

    assert said("DF01/EF15", "degree_code") == ["408", "303", "201"]
    assert said("DF02/EF05", "qualification_code") == ["6070101", "6070102", "001", "002"]
    assert said("DF02/EF15", "assistance_type") == ["010", "020", "030", "040"]
    assert said("DF03/EF06", "device") == ["甲", "乙", "丙"]
    assert said("DF03/EF19", "contributed_amount") == [0, 1, 2, 3]
    assert said("DF05/EF05", "drug_code") == ["0000", "0001", "0002", "0003", "0004"]
    assert said("DF05/EF05", "illness_code") == ["000", "001", "002", "003", "004"]
