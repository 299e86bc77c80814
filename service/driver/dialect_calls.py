"""The calls that a dialect may make for its caller: the driver's functions, within the time that the caller waits."""

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
from service.readers.managed_reader import ManagedReader


@dataclass(frozen=True, slots=True)
class DialectCalls:
    """The access of one caller to the cards, for one message."""

    driver: DriverService
    context: RequestContext
    layout: BasicLayout
    seconds: float | None = None
    """The time limit of a reading; None for the driver's own limit."""

    async def call(
        self, function: str, arguments: Mapping[str, Any], layout: BasicLayout | None = None
    ) -> DriverOutput:
        """Call a national function by its name.

        Args:
            function: the name.
            arguments: the arguments by their names.
            layout: the caller's own layout, used instead of the site's.

        Raises:
            NotSupportedError: there is no such function.
            CardioError: the errors of `DriverService.call`.
        """
        found = find_function(function)
        given = DriverArguments.from_mapping({"layout": layout or self.layout, **arguments})
        return await self.driver.call(found, given, self.context, seconds=self.seconds)

    async def reader(self) -> ManagedReader:
        """Return the reader for a caller that names none.

        Raises:
            CardioError: the errors of `CardSelection.choose`.
        """
        return await self.driver.choose(Preference.CONTACT_FIRST, self.context)

    async def transmit(self, managed: ManagedReader, command: CommandApdu, action: str) -> ResponseApdu:
        """Send one command to the card in a reader.

        Raises:
            CardioError: the errors of `ManagedReader.run`.
        """
        context = replace(self.context, action=action)
        response, _ = await managed.run(lambda card: card.transmit(command), context, repeat=False)
        return response
