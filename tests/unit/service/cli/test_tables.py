"""The bridge's tables on the console: one language, the width of the terminal, and progress where a log is long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardio.cli.table import display_width
from service.audit.log import AuditLog
from service.debits.provider import JournalProvider
from service.gate.scopes import Scope
from tests.unit.cardio.cli.terminal import Shown, on_terminal
from tests.unit.service.audit.audit_files import entry
from tests.unit.service.debits.debit_desk import Desk, write_owners_token
from tests.unit.service.debits.journal_files import S, debit, edit

CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
LOCALES = ["zh_CN.UTF-8", "en_US.UTF-8"]
PAGE = "https://registration.outpatients.his.example-hospital.cn"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A bridge with a debit whose result nobody has, a page that is let in, and one that asks."""
    made = Desk(tmp_path_factory.mktemp("desk"))
    made.call(key="order-2026-11-30-000000017")
    made.bridge.pair(PAGE, Scope.BASIC, Scope.FILES)
    asked = {"name": "HIS", "scopes": ["basic", "settle"]}
    made.bridge.caller(None, "https://his.example-hospital.cn.login.evil.com").post("/v1/pairing", json=asked)
    yield made
    made.bridge.stop()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal with debits in several states, and one that was changed from outside."""
    path = tmp_path / "debits.sqlite"
    place = JournalProvider(path)
    for number, state in enumerate((S.COMMITTED, S.SETTLED, S.UNKNOWN)):
        debit(place.open(), f"k{number}", state)
    place.close()
    edit(path, "UPDATE debit SET reason = 'other' WHERE state = 'settled'")
    return path


def expect_one_language(shown: Shown, locale: str, *values: str) -> None:
    """Check what is shown: no line is too wide; no Chinese in English, and no English but codes in Chinese.

    Args:
        shown: what the terminal has.
        locale: the user's.
        values: what is no word of the command.
    """
    text = "\n".join(shown.lines)
    for line in shown.lines:
        # A sentence with a command to copy is the terminal's to break.
        assert display_width(line) <= 80 or "cardio debits acknowledged" in line, text
    for value in values:
        text = text.replace(value, "")
    if locale.startswith("en"):
        assert not CHINESE.search(text), text
    else:
        found = re.findall(
            r"\b(the|of|is|debit|time|outcome|state|origin|taken|grant|kind|site|scopes|live|name|waiting|heed|reader"
            r"|target|action|asked|terminal|number|UNDELIVERED|CHANGED|compared|record)\b",
            text,
        )
        assert CHINESE.search(text) and not found, (found, text)


@pytest.mark.parametrize("locale", LOCALES)
def test_the_debits_of_a_file(journal: Path, locale: str) -> None:
    listed = on_terminal("debits", "list", "--all", "--file", str(journal), streams="stdout", locale=locale)
    assert listed.status == 0 and len(listed.lines) > 4
    expect_one_language(listed, locale)
    found = re.search(r"[0-9a-f]{16,}", listed.terminal)
    assert found is not None
    shown = on_terminal("debits", "show", found.group(), "--file", str(journal), streams="stdout", locale=locale)
    assert shown.status == 0 and found.group() in shown.terminal
    expect_one_language(shown, locale)


@pytest.mark.parametrize("locale", LOCALES)
def test_the_debits_of_a_bridge(desk: Desk, locale: str) -> None:
    write_owners_token()
    for arguments in (["list", "--all"], ["show", found_in(desk)]):
        shown = on_terminal("debits", *arguments, locale=locale, told={"CARDIO_BRIDGE": desk.bridge.address})
        assert shown.status == 0, shown.terminal
        expect_one_language(shown, locale)


def found_in(desk: Desk) -> str:
    debits = desk.bridge.client.get("/v1/debits", params={"peek": "true", "all": "true"}).json()["debits"]
    found: str = debits[0]["id"]
    return found


@pytest.mark.parametrize("locale", LOCALES)
def test_a_person_is_asked_in_one_language(desk: Desk, locale: str) -> None:
    """Without a terminal nobody can answer; what would be decided is shown all the same."""
    write_owners_token()
    shown = on_terminal(
        "debits", "resolve", found_in(desk), "--outcome", "none", streams="stderr", locale=locale,
        told={"CARDIO_BRIDGE": desk.bridge.address},
    )  # fmt: skip
    assert shown.status == 2 and "--yes" in shown.terminal
    expect_one_language(shown, locale)


@pytest.mark.parametrize("locale", LOCALES)
def test_who_may_use_the_bridge(desk: Desk, locale: str) -> None:
    write_owners_token()
    shown = on_terminal("pair", "list", streams="stdout", locale=locale, told={"CARDIO_BRIDGE": desk.bridge.address})
    assert shown.status == 0 and "evil.com" in shown.terminal
    expect_one_language(shown, locale, "页面")


@pytest.mark.parametrize("locale", LOCALES)
def test_who_did_what(tmp_path: Path, locale: str) -> None:
    path = tmp_path / "audit.sqlite"
    log = AuditLog(path)
    for number in range(1, 13):
        log.append(entry(number))
    log.close()
    shown = on_terminal("audit", "--file", str(path), streams="stdout", locale=locale)
    assert shown.status == 0 and len(shown.lines) > 12
    expect_one_language(shown, locale, "读卡器0", "读卡器1", "/v1/readers/{reader}", "/{reader}", "{reader}")


@pytest.mark.parametrize(("locale", "words"), [(LOCALES[0], "核对审计日志 "), (LOCALES[1], "checking the audit log ")])
def test_the_check_of_a_long_audit_log_says_how_far_it_is(tmp_path: Path, locale: str, words: str) -> None:
    path = tmp_path / "audit.sqlite"
    log = AuditLog(path)
    for number in range(1, 1202):
        log.append(entry(number % 100))
    log.close()
    arguments = ("audit", "verify", "--file", str(path))
    shown = on_terminal(*arguments, streams="stderr", locale=locale)
    assert shown.status == 0 and [part for part in shown.terminal.split("\r") if part.strip()] == [
        f"{words}0 %", f"{words}41 %", f"{words}83 %",
    ]  # fmt: skip
    assert not any(shown.lines) and words not in shown.pipe
    assert on_terminal(*arguments, "--json", streams="stderr", locale=locale).terminal == ""
    assert on_terminal(*arguments, streams="stdout", locale=locale).pipe == ""


def test_the_check_of_a_journal_says_how_far_it_is(tmp_path: Path) -> None:
    path, backup = tmp_path / "debits.sqlite", tmp_path / "backup.sqlite"
    place = JournalProvider(path)
    for number in range(150):
        debit(place.open(), f"k{number}", S.COMMITTED)
    place.close()
    told = {"CARDIO_BRIDGE_DEBITS_FILE": str(path), "CARDIO_BRIDGE": "http://127.0.0.1:9"}
    for arguments in (["verify"], ["backup", str(backup)]):
        shown = on_terminal("debits", *arguments, streams="stderr", told=told)
        said = [part for part in shown.terminal.split("\r") if part.strip()]
        assert shown.status == 0 and len(said) > 1 and said[0].startswith("核对扣款记录 0"), shown
        assert not any(shown.lines)
