"""The choice of a reader for a call that names none.

It is the policy of `cardio.readers.card_choice` for the bridge's readers.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from cardio.card.social_security_card import OPERATION_SECONDS
from cardio.errors import CardChangedError, CardioError, NotASocialSecurityCardError
from cardio.models.readers import ReaderStatus
from cardio.readers.card_choice import CardSlot, Preference, choose_card
from cardio.readers.scard import E_SHARING_VIOLATION
from service.gate.context import RequestContext
from service.readers.errors import HeldError, LeasedError
from service.readers.managed_reader import ManagedReader
from service.readers.registry import ReaderRegistry

_ROUNDS = 3


class CardSelection:
    """The choice of a reader, one object for the whole bridge. It runs on the event loop."""

    def __init__(self, registry: ReaderRegistry) -> None:
        self._registry = registry

    async def choose(self, preference: Preference | None, context: RequestContext) -> ManagedReader:
        """Return the reader whose card the call means.

        A card session in the request means its card. If several readers have a card, each card is asked once what it
        is, and the answer is kept while the card stays in.

        Args:
            preference: the kind of reader that the caller prefers: contact or contactless.
            context: the caller's request.

        Raises:
            PcscUnavailableError: there is no reader, and PC/SC does not run.
            NoReaderError: the condition of `choose_card`.
            NoCardError: the condition of `choose_card`.
            SeveralCardsError: the condition of `choose_card`.
            CardioError: any other error of `choose_card`.
        """
        if context.card_session is not None:
            named = next(
                (managed for managed in self._registry.all() if managed.card_session == context.card_session), None
            )
            if named is not None:
                return named
        faults: dict[str, tuple[str | None, CardioError]] = {}
        for _ in range(_ROUNDS):
            by_name = {managed.reader.name: managed for managed in self._registry.all()}
            if not by_name and self._registry.service_down:
                raise self._registry.service_fault()
            choice = choose_card(
                [_slot(managed, faults) for managed in by_name.values()], self._registry.policy, preference
            )
            if choice.reader is not None:
                return by_name[choice.reader]
            asked = [by_name[name] for name in choice.ask]
            found = await asyncio.gather(*(_fault_of(managed, context) for managed in asked))
            for managed, (session, fault) in zip(asked, found, strict=True):
                if fault is not None:
                    faults[managed.reader.name] = session, fault
        raise CardChangedError()  # cards are inserted and removed faster than they can be asked


def _slot(managed: ManagedReader, faults: dict[str, tuple[str | None, CardioError]]) -> CardSlot:
    session, fault = faults.get(managed.reader.name, (None, None))
    fault = fault if session == managed.card_session else None
    # A card that another program or page has reserved is not this caller's, so other cards come first.
    of_another = (
        managed.info.status is ReaderStatus.IN_USE
        or isinstance(fault, (LeasedError, HeldError))
        or (fault is not None and fault.hresult == E_SHARING_VIOLATION)
    )
    return CardSlot(
        managed.reader.name,
        occupied=managed.card_session is not None,
        atr=bytes.fromhex(managed.info.atr or ""),
        ours=False if of_another else managed.is_ours,
        fault=None if of_another else fault,
        simulated=managed.reader.simulated,
    )


async def _fault_of(managed: ManagedReader, context: RequestContext) -> tuple[str | None, CardioError | None]:
    """Ask the card in a reader what it is, which the reader remembers.

    Returns:
        The card session, and the error if the card gave no answer.
    """
    session = managed.card_session
    question = replace(context, action="choose-card", card_session=session, lease=None)
    try:
        await managed.run(lambda card: card.layout, question, seconds=OPERATION_SECONDS)
    except NotASocialSecurityCardError:
        return session, None
    except CardioError as error:
        return session, error
    return session, None
