"""What a dialect may do for its caller: the national driver's functions, in the time that the caller waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cardio.apdu.command import CommandApdu
from cardio.apdu.response import ResponseApdu
from cardio.driver.basic_info import BasicLayout
from cardio.driver.functions import DriverArguments, find_function
from cardio.readers.card_choice import Preference
from service.driver.calls import DriverOutput, DriverService
from service.gate.context import RequestContext
from service.gate.scopes import Caller
from service.readers.managed_reader import ManagedReader


@dataclass(frozen=True, slots=True)
class DialectCalls:
    """One caller's way to the cards, for one message."""

    driver: DriverService
    caller: Caller
    context: RequestContext
    layout: BasicLayout
    seconds: float | None = None
    """How long a reading may take; None for as long as the driver has it."""

    async def call(
        self, function: str, arguments: Mapping[str, Any], layout: BasicLayout | None = None
    ) -> DriverOutput:
        """Call a national function by its name; the caller's own ``layout`` stands over the site's.

        Raises:
            NotSupportedError: there is no such function. CardioError: as `DriverService.call`.
        """
        found = find_function(function)
        given = DriverArguments.from_mapping({"layout": layout or self.layout, **arguments})
        return await self.driver.call(found, given, self.caller, self.context, seconds=self.seconds)

    async def reader(self) -> ManagedReader:
        """The reader that a caller means who names none. Raises: CardioError: as `CardSelection.choose`."""
        return await self.driver.choose(Preference.CONTACT_FIRST, self.context)

    async def transmit(self, desk: ManagedReader, command: CommandApdu, action: str) -> ResponseApdu:
        """Send one command to the card in a reader. Raises: CardioError: as `ManagedReader.do`."""
        context = replace(self.context, action=action)
        response, _ = await desk.do(lambda card: card.transmit(command), context, repeat=False)
        return response
