"""Errors: each says what happened and what to do, in both languages, and the numbers are right."""

from collections.abc import Iterator

import pytest

import cardio.errors
import service.http.errors
from cardio.errors import CardioError, CardRefusedError
from cardio.filesystem.codec.items import PartialDate
from cardio.models.problem import Problem
from cardio.readers import scard


def tree(kind: type[CardioError]) -> Iterator[type[CardioError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


KINDS = list(tree(CardioError))


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_each_error_has_cause_and_remedy_in_both_languages(kind: type[CardioError]) -> None:
    assert any("\u4e00" <= c <= "\u9fff" for c in kind.title) and any("\u4e00" <= c <= "\u9fff" for c in kind.remedy)
    assert kind.title_en.isascii() and kind.remedy_en.isascii()
    assert kind.exit_status in (1, 2, 69, 77, 78)
    # 202 is said of a debit whose outcome is not known yet: that is no failure.
    assert 400 <= kind.status < 600 or kind.code == "debit-unknown"


def test_slugs_are_unique() -> None:
    slugs = [kind.code for kind in KINDS if kind is not PartialDate]
    assert len(slugs) == len(set(slugs))


def test_every_public_error_is_drawn_in_the_docstring() -> None:
    drawn = cardio.errors.__doc__ or ""
    for kind in KINDS:
        if kind.__module__ == "cardio.errors":
            assert kind.__name__ in drawn
            if kind.code not in ("error", "reader-error", "card-fault"):
                assert kind.code in drawn


def test_the_driver_code_of_a_status_word_is_its_negative() -> None:
    assert CardRefusedError("x", status_word=0x6982).driver_code == -27010


def test_a_problem_has_the_fields_of_the_contract() -> None:
    problem = Problem.of(scard.error_for(0x80100069 - (1 << 32)), "r1").document()
    assert problem["code"] == "card-removed"
    assert problem["hresult"] == "80100069"
    assert problem["request_id"] == "r1"
    assert {"type", "title", "status", "detail", "code", "driver_code", "sw", "remedy", "retryable"} <= problem.keys()
    refused = Problem.of(CardRefusedError("x", status_word=0x6A83)).document()
    assert (refused["sw"], refused["driver_code"]) == ("6A83", -27267)
    assert service.http.errors.NoTokenError().status == 401


@pytest.mark.parametrize(
    ("number", "code", "exit_status"),
    [
        (0x80100068, "card-reset", 1),
        (0x80100069, "card-removed", 1),
        (0x8010000C, "no-card", 1),
        (0x80100066, "card-mute", 1),
        (0x80100067, "card-mute", 1),
        (0x8010000B, "reader-busy", 1),
        (0x8010001D, "pcsc-unavailable", 69),
        (0x8010001E, "pcsc-unavailable", 69),
        (0x80100003, "pcsc-unavailable", 69),
        (0x80100013, "pcsc-unavailable", 69),
        (0x8010002E, "reader-gone", 69),
        (0x80100017, "reader-gone", 69),
        (0x80100009, "reader-gone", 69),
        (0x80100016, "card-removed", 1),
        (0x8010002F, "card-garbled", 1),
        (0x8010000F, "card-mute", 1),
        (0x8010006A, "not-permitted", 77),
        (0x80100001, "reader-error", 69),
    ],
)
def test_pcsc_errors_are_told_apart_by_number(number: int, code: str, exit_status: int) -> None:
    """The table of safety.md §4; PC/SC gives the numbers signed or unsigned."""
    for given in (number, number - (1 << 32)):
        error = scard.error_for(given)
        assert (error.code, error.exit_status, error.hresult) == (code, exit_status, number)
