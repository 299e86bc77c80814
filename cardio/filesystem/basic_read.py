"""The flow of a basic reading: it finds out who a card belongs to, with as few commands as the card allows."""

from __future__ import annotations

from collections.abc import Callable

from cardio.apdu.channel import Flow
from cardio.filesystem.access_rights import Authenticator
from cardio.filesystem.capabilities import FamilyCapabilities
from cardio.filesystem.card_file_system import HOLDER_FILE, CardContents, CardFileSystem
from cardio.filesystem.layouts.registry import NATIONAL, LayoutChoice

SUPPLEMENT = ("DF01/EF05", "DF01/EF06", "DF01/EF0A")
"""The files with residence, household registration and nationality; most cards open them for a PIN or a key."""


def read_card(
    capabilities: FamilyCapabilities,
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
    """Read who a card belongs to: EF05 and EF06, and with ``supplement`` the files of DF01.

    Args:
        capabilities: the capabilities known of this card family; what this card teaches is written into it.
        supplement: also read the files of DF01.
        prove: make the card prove itself first, where its generation does and there are keys for it.
        t1: the card speaks T=1, where SELECT also returns the FCI, and Le must be sent.
        atr: the card's ATR, which names the kind of a card that is no social security card.
        layouts: the layouts to choose from.
        authenticator: presents PINs and keys where a file is closed.
        on_basic: called as soon as EF05 and EF06 are read, before the files of DF01 are requested.
        on_issuer: passed on to `CardFileSystem`.

    Raises:
        NotASocialSecurityCardError: the card has no social security environment, or an empty one.
        CardBlockedError: the environment is blocked.
        CardRefusedError: the environment cannot be selected for another reason.
        CardGarbledError: no answer of the card is a record.
        ForgedCardError: the card is a copy.
    """
    file_system = CardFileSystem(
        capabilities, t1=t1, atr=atr, layouts=layouts, authenticator=authenticator, on_issuer=on_issuer
    )
    environment, contents = file_system.environment, file_system.contents
    # If no algorithm is known the FCI is needed, and this SELECT is the cheapest moment to fetch it.
    yield from file_system.open(want_algorithm=not capabilities.algorithms)
    if prove:
        yield from file_system.prove_card()
    # Always requested: each card decides whether it opens the file, and one command shows it.
    yield from file_system.read(HOLDER_FILE)
    yield from file_system.require_social_security_card()
    layout = file_system.layout
    if layout.generation not in capabilities.algorithms and not environment.fetched:
        yield from environment.select(fetch=True)
    contents.marker_problem = environment.problem
    if environment.problem is None:
        if environment.fetched:
            capabilities.algorithms[layout.generation] = environment.named or layout.algorithm
        contents.algorithm = capabilities.algorithms.get(layout.generation, layout.algorithm)
    if supplement:
        if on_basic is not None:
            on_basic(contents)
        for path in SUPPLEMENT:
            yield from file_system.read(path, use_profile=True)
    return contents
