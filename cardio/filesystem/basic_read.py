"""The plan for a basic reading: who a card belongs to, in as few words as the card allows."""

from __future__ import annotations

from collections.abc import Callable

from cardio.apdu.channel import Flow
from cardio.filesystem.access_rights import Authenticator
from cardio.filesystem.capabilities import FamilyCapabilities
from cardio.filesystem.card_file_system import HOLDER_FILE, CardContents, CardFileSystem
from cardio.filesystem.layouts.registry import NATIONAL, LayoutChoice

SUPPLEMENT = ("DF01/EF05", "DF01/EF06", "DF01/EF0A")
"""Where residence, household registration and nationality are; a PIN or key opens them on most cards."""


def read_card(
    manners: FamilyCapabilities,
    *,
    supplement: bool = True,
    prove: bool = True,
    t1: bool = False,
    atr: bytes = b"",
    layouts: LayoutChoice = NATIONAL,
    authenticator: Authenticator | None = None,
    on_basic: Callable[[CardContents], None] | None = None,
    on_issuer: Callable[[CardContents], None] | None = None,
) -> Flow[CardContents]:
    """Reads who a card belongs to: EF05 and EF06, and with ``supplement`` the files of DF01.

    Args:
        prove: have the card prove itself first, where its generation does and there are keys for it.
        manners: what is known of this family; what this card teaches is written into it.
        t1: the card speaks T=1, where the answer to SELECT brings the FCI along, and Le must be sent.
        atr: the card's ATR, which names the kind of a card that is none of ours.
        layouts: the layouts to choose from.
        authenticator: presents PINs and keys where a file is closed.
        on_issuer: as `CardFileSystem` takes it.
        on_basic: told as soon as EF05 and EF06 are there, before the files of DF01 are asked for.

    Raises:
        NotASocialSecurityCardError: there is no social security environment on the card, or nothing in it.
        CardBlockedError: there is one, and it is blocked.
        CardRefusedError: it cannot be selected for another reason.
        CardGarbledError: nothing that it answers is a record.
        ForgedCardError: it is a copy.
    """
    file_system = CardFileSystem(
        manners, t1=t1, atr=atr, layouts=layouts, authenticator=authenticator, on_issuer=on_issuer
    )
    environment, contents = file_system.environment, file_system.contents
    # Where no algorithm is known the FCI will be wanted, and now is the cheapest moment.
    yield from file_system.begin(want_algorithm=not manners.algorithms)
    if prove:
        yield from file_system.prove_card()
    # Always asked for: whether a card opens it is that card's affair, and one command tells.
    yield from file_system.read(HOLDER_FILE)
    yield from file_system.refuse_strangers()
    layout = file_system.layout
    if layout.generation not in manners.algorithms and not environment.fetched:
        yield from environment.select(fetch=True)
    contents.marker_problem = environment.problem
    if environment.problem is None:
        if environment.fetched:
            manners.algorithms[layout.generation] = environment.named or layout.algorithm
        contents.algorithm = manners.algorithms.get(layout.generation, layout.algorithm)
    if supplement:
        if on_basic is not None:
            on_basic(contents)
        for path in SUPPLEMENT:
            yield from file_system.read(path, use_profile=True)
    return contents
