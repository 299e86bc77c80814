"""The questions to the clerk: only the bridge's own page may list and answer them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import Field, SecretStr

from cardio.errors import UsageError
from cardio.models.base import FrozenModel
from cardio.models.problem import Problem
from cardio.security.errors import PinEntryMismatchError
from cardio.security.pin.pin import Pin
from service.gate.context import context_of
from service.gate.scopes import Scope
from service.questions.book import Entered, Question, QuestionKind
from service.routes.dependencies import AuditOf, CallerOf, QuestionsOf, require_scope

router = APIRouter(prefix="/v1/questions", tags=["questions"], dependencies=[require_scope(Scope.MANAGE)])
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "the question is not open any more"},
    422: {"model": Problem, "description": "what was entered is no PIN, or the two new ones differ: it stays open"},
}
Digits = Annotated[SecretStr, Field(max_length=16)]


class QuestionShown(FrozenModel):
    question: str
    kind: QuestionKind
    wants: tuple[Literal["pin", "new_pin"], ...] = Field(description="what is to be entered, of a `pin` question")
    reader: str
    card_session: str | None
    caller: str = Field(description="who asks")
    function: str
    seconds_left: int


class QuestionList(FrozenModel):
    questions: tuple[QuestionShown, ...]


class QuestionAnswered(FrozenModel):
    answer: Literal["yes", "no"]
    pin: Digits | None = None
    new_pin: Digits | None = None
    new_pin_again: Digits | None = Field(default=None, description="the new PIN a second time")


@router.get("")
async def list_questions(questions: QuestionsOf) -> QuestionList:
    """Return the questions that are open now."""
    shown = [QuestionShown.model_validate(questions.describe(one)) for one in questions.all()]
    return QuestionList(questions=tuple(shown))


@router.post("/{request_id}/answer", status_code=204, responses=_PROBLEMS)
async def answer_question(
    request: Request,
    request_id: Annotated[str, Path(max_length=32, description="the question's id")],
    given: QuestionAnswered,
    questions: QuestionsOf,
    caller: CallerOf,
    audit: AuditOf,
) -> None:
    """Give the clerk's answer. The entered data go to the call that waits, and nowhere else."""
    question = questions.find(request_id)
    entered = _entered(question, given) if given.answer == "yes" else Entered()
    questions.answer(request_id, yes=given.answer == "yes", entered=entered)
    subject = question.subject
    audit.note(
        context_of(request, caller),
        action="question-answered",
        target=f"{question.kind.value} {given.answer} {subject.function} {subject.grant} {subject.reader}",
    )


def _entered(question: Question, given: QuestionAnswered) -> Entered:
    """Return the PINs that were entered.

    Raises:
        UsageError: an entry is missing.
        PinFormatError: an entry is no PIN.
        PinEntryMismatchError: the two new PINs differ.
    """
    pin = _wanted(given.pin, "pin") if "pin" in question.wants else None
    if "new_pin" not in question.wants:
        return Entered(pin)
    new = _wanted(given.new_pin, "new_pin")
    if _wanted(given.new_pin_again, "new_pin_again") != new:
        raise PinEntryMismatchError()
    return Entered(pin, new)


def _wanted(given: SecretStr | None, name: str) -> Pin:
    if given is None:
        raise UsageError(f"缺少 {name}", f"{name} is missing")
    return Pin(given.get_secret_value())
