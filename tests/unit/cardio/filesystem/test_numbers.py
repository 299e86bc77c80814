import pytest

from cardio.filesystem.codec.check_digits import card_number_fault, identity_number_fault, is_citizens_number
from cardio.filesystem.layouts.access import AccessCondition


@pytest.mark.parametrize("number", ["D2143569X", "B00000131", "X00000019"])
def test_card_numbers_of_the_specification_and_of_public_samples(number: str) -> None:
    assert card_number_fault(number) is None
    assert card_number_fault(number[:-1] + ("1" if number[-1] != "1" else "2")) is not None


@pytest.mark.parametrize("number", ["", "D2143569", "d2143569X", "D2143569XX", "D214-569X", "测2143569X"])
def test_what_is_no_card_number(number: str) -> None:
    assert card_number_fault(number) is not None


def test_citizens_numbers() -> None:
    # 11010519491231002X is the published example of GB 11643.
    assert identity_number_fault("11010519491231002X") is None
    assert identity_number_fault("11010519491231002x") is None
    assert identity_number_fault("110105194912310021") is not None
    assert identity_number_fault("DEU000000TESTCARD5") is not None
    assert identity_number_fault("١١٠١٠٥١٩٤٩١٢٣١٠٠٢X") is not None
    assert is_citizens_number("11010519491231002X")
    assert not is_citizens_number("999900197007070019")


@pytest.mark.parametrize(
    ("text", "opens", "closed", "need"),
    [
        ("free", [set()], [], "needs-key"),
        ("never", [], [set(), {"PIN"}], "needs-key"),
        ("PIN", [{"PIN"}], [set(), {"RK1DF01"}], "needs-pin"),
        ("RKSSSE", [{"RKSSSE"}], [set(), {"PIN"}], "needs-key"),
        ("PIN or RK1DF01", [{"PIN"}, {"RK1DF01"}], [set()], "needs-pin-or-key"),
        ("PIN and RK1DF04", [{"PIN", "RK1DF04"}], [{"PIN"}, {"RK1DF04"}], "needs-pin-and-key"),
    ],
)
def test_access_conditions(text: str, opens: list[set[str]], closed: list[set[str]], need: str) -> None:
    condition = AccessCondition.parse(text)
    assert all(condition.allows(rights) for rights in opens)
    assert not any(condition.allows(rights) for rights in closed)
    assert condition.missing_right == need
    assert AccessCondition.parse(str(condition)) == condition


@pytest.mark.parametrize("text", ["", "PIN or", "PIN RK", "or PIN", "PIN xor RK"])
def test_what_is_no_access_condition(text: str) -> None:
    with pytest.raises(ValueError, match="access condition"):
        AccessCondition.parse(text)
