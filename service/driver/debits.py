"""The debits of the national interface, ``iDoDebit`` and its steps, on the bridge's debit service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cardio.card.social_security_card import SocialSecurityCard
from cardio.driver.debits import debit_1, debit_2, parse_pay_info, result_text
from cardio.driver.functions import DebitFunction, DriverArguments, guard, parse_card_info
from cardio.driver.hsm_steps import HsmSteps
from cardio.errors import CardioError
from service.debits.service import DebitAnswer, DebitCall, DebitRequest, DebitService
from service.gate.context import RequestContext
from service.readers.managed_reader import ManagedReader

FindReader = Callable[[], Awaitable[ManagedReader]]


async def call_debit(
    debits: DebitService,
    function: DebitFunction,
    given: DriverArguments,
    context: RequestContext,
    reader: FindReader,
) -> DebitAnswer:
    """Do a debit, or its first step.

    Args:
        debits: the service for debits.
        function: the function with its step.
        given: its arguments.
        context: the caller's request.
        reader: finds the reader.

    Raises:
        UsageError: the strings have not the form of the interface.
        CardioError: the errors of `DebitService.call`.
    """

    def check_card(card: SocialSecurityCard) -> None:
        guard(card, given.pCardInfo)

    asked = DebitRequest(
        key=given.idempotencyKey, context=context, reader=reader, pin=given.pin,
        accept_last_try=given.acceptLastTry, order=parse_pay_info(given.pPayInfo),
        card_named=parse_card_info(given.pCardInfo)[0], check_card=check_card,
        first_step=debit_1 if function.step == 1 else None,
    )  # fmt: skip
    return await debits.call(asked)


async def finish_debit(
    debits: DebitService,
    given: DriverArguments,
    context: RequestContext,
    reader: FindReader,
    held: ManagedReader | None,
) -> DebitAnswer:
    """Do the second step of a debit.

    Args:
        debits: the service for debits.
        given: the arguments.
        context: the caller's request.
        reader: finds the reader.
        held: the reader that holds a card for this caller.

    Raises:
        CardioError: the errors of `DebitService.second_step`.
    """

    def finish(steps: HsmSteps) -> str:
        return debit_2(steps, given.pKey)

    asked = DebitCall(
        key=given.idempotencyKey, context=context, reader=reader, pin=given.pin,
        accept_last_try=given.acceptLastTry,
    )  # fmt: skip
    return await debits.second_step(asked, finish, held)


def output_of(answer: DebitAnswer) -> str:
    """Return the output of the function: the result of the debit, or the data of its first step for the HSM."""
    if answer.step_output is not None:
        return answer.step_output
    if answer.debit.result is None:
        raise CardioError()  # `DebitService` answers no other debit
    return result_text(answer.debit.result)
