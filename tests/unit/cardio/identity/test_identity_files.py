"""The policy file and the loss list: what they say, what is refused and where; the document's examples hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cardio.identity import CheckName, ChipProof, LossList, Policy, default_policy
from cardio.identity.policy import SHIPPED
from cardio.security.errors import PolicyError
from tests.unit.cardio.identity.test_identity import CODE, NOW, detail, judged, outcome, with_card, with_policy

DOCUMENT = (Path(__file__).parents[4] / "docs" / "identity.md").read_text(encoding="utf-8")
HEADER = "# updated = 2026-11-22T08:00:00+08:00\n"


def written(folder: Path, text: str, name: str = "policy.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def block(kind: str) -> str:
    """The document's first block of a kind."""
    blocks = DOCUMENT.split("```")[1::2]
    return next(text.removeprefix(f"{kind}\n") for text in blocks if text.startswith(f"{kind}\n"))


def test_the_documents_policy_is_one(tmp_path: Path) -> None:
    policy = Policy.load(written(tmp_path, block("toml")))
    assert (policy.name, policy.max_loss_list_age_hours, policy.expiry_grace_days) == ("某医院挂号窗口", 24, 90)
    assert policy.checks[CheckName.CARD_NUMBER] == "ignored" and policy.checks[CheckName.HOLDER_PIN] == "required"
    assert not policy.accept_test_keys
    assert judged(with_card(card_number="wrong"), policy=policy).verdict == "verified"


def test_the_documents_loss_list_is_one(tmp_path: Path) -> None:
    listed = LossList.load(written(tmp_path, block(""), "lost.txt"))
    assert (listed.entries, listed.updated) == (3, datetime(2026, 11, 24, tzinfo=UTC))
    assert judged(loss_list=listed).verdict == "refused"


def test_the_documents_table_has_every_check_with_its_shipped_weight() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\| `(required|optional)` \|$", DOCUMENT, re.MULTILINE)
    assert rows == [(str(name), str(default_policy().checks[name])) for name in CheckName]


def test_the_shipped_policy_is_strict_about_what_cannot_be_mended() -> None:
    policy = default_policy()
    assert (policy.name, policy.origin) == ("default", str(SHIPPED))
    assert not policy.accept_test_keys and policy.expiry_grace_days == 0
    required = {str(name) for name, weight in policy.checks.items() if weight == "required"}
    assert required == {"chip-genuine", "card-dates", "loss-list", "name", "id-number", "birth-date"}


SHIPPED_TEXT = SHIPPED.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('chip-genuine = "required"', 'chip-genuin = "required"', ["checks.chip-genuin", "chip-genuine？"]),
        ('sex = "optional"', 'sex = "sometimes"', ["checks.sex", "required、optional、ignored"]),
        ('sex = "optional"', "sex = true", ["checks.sex", "required、optional、ignored"]),
        ('sex = "optional"', "", ["缺少 sex"]),
        ('loss-list = "required"', 'loss-list = "ignored"', ["loss-list 不可为 ignored"]),
        ('chip-genuine = "required"', 'chip-genuine = "ignored"', ["chip-genuine 不可为 ignored"]),
        ("accept_test_keys = false", "accept_tests_keys = false", ["accept_tests_keys", "accept_test_keys？"]),
        ("accept_test_keys = false", 'accept_test_keys = "no"', ["accept_test_keys"]),
        ("max_loss_list_age_hours = 48", "max_loss_list_age_hours = 0", ["max_loss_list_age_hours"]),
        ("max_loss_list_age_hours = 48", "max_loss_list_age_hours = 8785", ["max_loss_list_age_hours"]),
        ("max_loss_list_age_hours = 48", "max_loss_list_age_hours = 1.5", ["max_loss_list_age_hours"]),
        ("max_loss_list_age_hours = 48", "", ["max_loss_list_age_hours", "缺少"]),
        ("expiry_grace_days = 0", "expiry_grace_days = -1", ["expiry_grace_days"]),
        ('name = "default"', 'origin = "elsewhere"\nname = "default"', ["origin"]),
        ('name = "default"', 'name = ""', ["name"]),
        ('name = "default"', "name =", ["TOML"]),
        ("[checks]", "[check]", ["check", "checks？"]),
    ],
)
def test_a_wrong_policy_is_refused_where_it_is_wrong(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in SHIPPED_TEXT
    text = SHIPPED_TEXT.replace(old, new, 1)
    path = written(tmp_path, text)
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)
    error = caught.value
    assert error.detail.startswith(str(path)) and error.detail_en.startswith(str(path))
    assert all(word in error.detail for word in words), error.detail
    assert not any("\u4e00" <= c <= "\u9fff" for c in error.detail_en)
    if new and "=" in new and "不可" not in words[0] and "elsewhere" not in new:
        line = next(number for number, one in enumerate(text.splitlines(), 1) if one.startswith(new))
        assert error.detail.startswith(f"{path}:{line}：")


def test_a_word_in_a_table_is_not_taken_for_the_same_word_above_it(tmp_path: Path) -> None:
    text = SHIPPED_TEXT.replace('\nname = "required"', '\nname = "rquired"')
    path = written(tmp_path, text)
    with pytest.raises(PolicyError) as caught:
        Policy.load(path)
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "rquired" in one)
    assert f"policy.toml:{line}：checks.name" in caught.value.detail


def test_a_policy_that_requires_nothing_would_verify_everybody(tmp_path: Path) -> None:
    text = SHIPPED_TEXT.replace('"required"', '"optional"')
    with pytest.raises(PolicyError, match="required"):
        Policy.load(written(tmp_path, text))


def test_a_policy_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.toml"):
        Policy.load(tmp_path / "none.toml")
    (tmp_path / "gbk.toml").write_bytes('name = "策略"'.encode("gbk"))
    with pytest.raises(PolicyError, match="UTF-8"):
        Policy.load(tmp_path / "gbk.toml")


@pytest.mark.parametrize(
    ("entry", "hit"),
    [
        (CODE, True),
        (CODE.lower(), True),
        (CODE[:24], True),
        (CODE[:24] + "FFFFFFFF", True),  # another 认证码: the same card all the same
        (f"  {CODE}  \r", True),
        ("430200,D2143569X", True),
        ("430200 , D2143569X", True),
        ("430100,D2143569X", False),
        ("430200,D21435690", False),
        (CODE[:23] + "4", False),
        ("", False),
    ],
)
def test_a_card_is_found_by_its_code_or_by_region_and_number(tmp_path: Path, entry: str, hit: bool) -> None:
    listed = LossList.load(written(tmp_path, f"# 挂失名单\n{HEADER}\n{entry}\n", "lost.txt"))
    verdict = judged(loss_list=listed)
    assert (outcome(verdict, "loss-list"), str(verdict.verdict)) == (
        ("failed", "refused") if hit else ("passed", "verified")
    )


def test_a_list_of_numbers_needs_the_cards_number_and_one_of_codes_does_not() -> None:
    by_number = LossList(NOW, numbers=frozenset({("430200", "D0000000X")}))
    by_code = LossList(NOW, codes=frozenset({"0" * 24}))
    for unreadable in (None, "D214356"):
        without = with_card(card_number=unreadable)
        assert outcome(judged(without, loss_list=by_number), "loss-list") == "not-done"
        assert outcome(judged(without, loss_list=by_code), "loss-list") == "passed"


def test_an_old_list_proves_nothing_but_still_knows_a_lost_card() -> None:
    for hours, expected in ((24, "passed"), (24.1, "not-done"), (500, "not-done"), (-0.1, "passed"), (-1, "not-done")):
        updated = NOW - timedelta(hours=hours)
        verdict = judged(loss_list=LossList(updated))
        assert outcome(verdict, "loss-list") == expected
        assert str(verdict.verdict) == ("verified" if expected == "passed" else "not-verified")
        optional = with_policy({"loss-list": "optional"})
        hit = judged(loss_list=LossList(updated, codes=frozenset({CODE[:24]})), policy=optional)
        assert (outcome(hit, "loss-list"), str(hit.verdict)) == ("failed", "refused")
    stale = judged(loss_list=LossList(NOW - timedelta(hours=50)))
    assert "50 小时前更新，时限 24 小时" in detail(stale, "loss-list") and "50 hours" in detail(stale, "loss-list")
    assert stale.loss_list is not None and stale.loss_list.age_hours == 50
    ahead = judged(loss_list=LossList(NOW + timedelta(hours=5))).loss_list
    assert ahead is not None and ahead.age_hours == 0


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEADER + "430200D156000005000000\n", 2, "24 或 32"),
        (HEADER + CODE + "00\n", 2, "24 或 32"),
        (HEADER + CODE[:24] + "\n" + CODE[:24] + ",金丝雀\n", 3, "24 或 32"),
        (HEADER + "金丝雀\n", 2, "24 或 32"),
        (HEADER + "119900197708090027\n", 2, "24 或 32"),
        (HEADER + "430200,d2143569x\n", 2, "24 或 32"),
        (HEADER + "4302,D2143569X\n", 2, "24 或 32"),
        (HEADER + HEADER, 2, "两次"),
        ("# updated = 2026-11-22T08:00:00\n", 1, "时区"),
        ("# updated = yesterday\n", 1, "时区"),
        (CODE + "\n", None, "updated"),
        ("", None, "updated"),
    ],
)
def test_a_wrong_loss_list_is_refused_where_it_is_wrong(
    tmp_path: Path, text: str, line: int | None, words: str
) -> None:
    path = written(tmp_path, text, "lost.txt")
    with pytest.raises(PolicyError) as caught:
        LossList.load(path)
    where = str(path) if line is None else f"{path}:{line}"
    assert caught.value.detail.startswith(f"{where}：") and caught.value.detail_en.startswith(f"{where}: ")
    assert words in caught.value.detail
    assert "金丝雀" not in str(caught.value) and "119900" not in str(caught.value)


def test_a_loss_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.txt"):
        LossList.load(tmp_path / "none.txt")
    (tmp_path / "gbk.txt").write_bytes("# 名单".encode("gbk"))
    with pytest.raises(PolicyError, match="UTF-8"):
        LossList.load(tmp_path / "gbk.txt")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "lost.txt").write_bytes(b"\xef\xbb\xbf" + (HEADER + CODE + "\n").replace("\n", "\r\n").encode())
    assert LossList.load(tmp_path / "lost.txt").codes == {CODE[:24]}


def test_a_list_of_thousands_says_not_who_is_on_it() -> None:
    assert CODE[:24] not in repr(LossList(NOW, codes=frozenset({CODE[:24]})))


def test_the_verdict_names_the_files_that_it_rests_on(tmp_path: Path) -> None:
    policy_file, list_file = written(tmp_path, SHIPPED_TEXT), written(tmp_path, HEADER, "lost.txt")
    verdict = judged(
        chip=ChipProof("genuine", "SM4", "hsm"), policy=Policy.load(policy_file), loss_list=LossList.load(list_file)
    )
    assert (verdict.policy.name, verdict.policy.origin) == ("default", str(policy_file))
    assert verdict.loss_list is not None and verdict.loss_list.origin == str(list_file)
