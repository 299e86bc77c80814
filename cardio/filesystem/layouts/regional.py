"""Local expansion (地方扩展): the rules for what a region may add to a generation and must not change (V2.0 §6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cardio.bilingual import Bilingual
from cardio.filesystem.codes.tables import table_names
from cardio.filesystem.layouts.fault import Fault

FIRST_LOCAL_APPLICATION = 0xDF0A
FIRST_LOCAL_FILE = 0xEF0C
_ENVIRONMENT = "SSSE"
_SAYS_NOTHING_OF_THE_CARD = {"note", "source", "confidence"}

UNTOUCHED = Bilingual(
    "国家规范的应用、文件、数据项标识不得更改或挪用", "the specification's own may not be changed or reused"
)
NEW_APPLICATIONS = Bilingual("地方应用从 DF0A 起", "a region's applications begin at DF0A")
NEW_FILES = Bilingual("地方文件从 EF0C 起", "a region's files begin at EF0C")
ENVIRONMENT_ITEMS = Bilingual("SSSE 下国家文件不得增加数据项", "no items may be added to the national files in SSSE")
CYCLIC_ITEMS = Bilingual("循环文件可增加记录，不得增加数据项", "cyclic files may get records, but no items")
RESERVED_FILES = Bilingual("预留文件留待国家使用", "reserved files wait for national use")
RULES = (UNTOUCHED, NEW_APPLICATIONS, NEW_FILES, ENVIRONMENT_ITEMS, CYCLIC_ITEMS, RESERVED_FILES)


def rule_violations(base: dict[str, Any], own: dict[str, Any]) -> list[Fault]:
    """Return the violations of the rules in a region's file.

    Args:
        base: the document of the generation that it extends.
        own: the content of the region's file itself.
    """
    return list(_violations(base, own))


def _violations(base: dict[str, Any], own: dict[str, Any]) -> Iterator[Fault]:
    for word in sorted({"generation", "algorithm", "algorithm_markers"} & own.keys()):
        yield Fault(word, "不得更改", "may not be changed", UNTOUCHED)
    for name in _tables(own, "keys").keys() & _tables(base, "keys").keys():
        yield Fault(name, "国家规范的密钥不得更改", "a key of the specification may not be changed", UNTOUCHED)
    for name in sorted(_tables(own, "codes").keys() & table_names()):
        yield Fault(name, "国家代码表不得更改", "a national code table may not be changed", UNTOUCHED)
    for name in sorted(_tables(own, "topics").keys() & _tables(base, "topics").keys()):
        yield Fault(name, "国家主题不得更改", "a national topic may not be changed", UNTOUCHED)
    national = _tables(base, "applications")
    taken = {str(application.get("file_id", "")).upper(): name for name, application in national.items()}
    for name, application in _tables(own, "applications").items():
        if name in national:
            yield from _in_national_application(name, national[name], application)
        else:
            yield from _new_application(name, application, taken)


def _new_application(name: str, application: dict[str, Any], taken: dict[str, str]) -> Iterator[Fault]:
    file_id = str(application.get("file_id", name)).upper()
    number = _number(file_id)
    if file_id in taken:
        place, owner = f"{name}/file_id", taken[file_id]
        yield Fault(place, f"{file_id} 属于 {owner}", f"{file_id} belongs to {owner}", UNTOUCHED)
    elif number is None or not FIRST_LOCAL_APPLICATION <= number <= 0xDFFF:
        zh, en = f"应用标识 {file_id} 不在 DF0A 以后", f"{file_id} is not DF0A or above"
        yield Fault(f"{name}/file_id", zh, en, NEW_APPLICATIONS)


def _in_national_application(name: str, national: dict[str, Any], application: dict[str, Any]) -> Iterator[Fault]:
    for word in sorted(application.keys() - {"files"} - _SAYS_NOTHING_OF_THE_CARD):
        yield Fault(f"{name}/{word}", "国家规范的应用不得更改", "an application of the specification", UNTOUCHED)
    files = _tables(national, "files")
    tags_of_the_application = {tag: path for path, file in files.items() for tag in _tags(file)}
    for file_name, file in _tables(application, "files").items():
        place = f"{name}/{file_name}"
        if file_name in files:
            yield from _national_file(place, name, files[file_name], file)
            reused = {tag: path for tag, path in tags_of_the_application.items() if path != file_name}
        else:
            number = _number(file_name)
            if number is None or not FIRST_LOCAL_FILE <= number <= 0xEFFF:
                yield Fault(
                    place, f"文件标识 {file_name} 不在 EF0C 以后", f"{file_name} is not EF0C or above", NEW_FILES
                )
            reused = tags_of_the_application
        for tag in _tags(file):
            if tag in reused:
                zh, en = f"标签 {tag} 属于 {name}/{reused[tag]}", f"tag {tag} belongs to {name}/{reused[tag]}"
                yield Fault(f"{place}/{tag}", zh, en, UNTOUCHED)


def _national_file(place: str, application: str, national: dict[str, Any], file: dict[str, Any]) -> Iterator[Fault]:
    changed = file.keys() - {"items", "records"} - _SAYS_NOTHING_OF_THE_CARD
    for word in sorted(changed):
        yield Fault(f"{place}/{word}", "国家规范的文件不得更改", "a file of the specification", UNTOUCHED)
    if national.get("use") == "reserved":
        yield Fault(place, "预留文件不得使用", "a reserved file may not be used", RESERVED_FILES)
    if "records" in file:
        more = national.get("structure") == "cyclic" and file["records"] >= national.get("records", 0)
        if not more:
            yield Fault(f"{place}/records", "记录数不得减少", "records may only be added to cyclic files", CYCLIC_ITEMS)
    if not file.get("items"):
        return
    if application == _ENVIRONMENT:
        yield Fault(place, "不得增加数据项", "items may not be added", ENVIRONMENT_ITEMS)
    if national.get("structure") == "cyclic":
        yield Fault(place, "不得增加数据项", "items may not be added", CYCLIC_ITEMS)
    own_tags = set(_tags(national))
    for tag in _tags(file):
        if tag in own_tags:
            yield Fault(f"{place}/{tag}", f"标签 {tag} 已有国家定义", f"tag {tag} is defined already", UNTOUCHED)


def _tables(document: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    found = document.get(key)
    return {name: table for name, table in found.items() if isinstance(table, dict)} if isinstance(found, dict) else {}


def _tags(file: dict[str, Any]) -> list[str]:
    items = file.get("items")
    listed = items if isinstance(items, list) else []
    return [str(item["tag"]).upper() for item in listed if isinstance(item, dict) and "tag" in item]


def _number(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
