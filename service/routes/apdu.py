"""The trace of the commands to a card, in words, and single commands to software cards."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from cardio.apdu.command import CommandApdu
from cardio.apdu.command_names import command_name
from cardio.apdu.status_word import describe
from cardio.apdu.trace import Exchange, without_pin
from cardio.errors import UsageError
from cardio.models.base import FrozenModel
from service.gate.scopes import Scope
from service.readers.errors import SimulatedOnlyError
from service.routes.dependencies import CallOf, RegistryOf, require_scope
from service.routes.readers import CARD_PROBLEMS

router = APIRouter(prefix="/v1/readers", tags=["commands"])


class ExchangeInfo(FrozenModel):
    """One command and its answer."""

    number: int
    name: str
    name_en: str
    header: str = Field(description="CLA INS P1 P2")
    lc: int = Field(description="bytes of data that were sent")
    length: int = Field(description="bytes of data that came back")
    sw: str | None
    meaning: str
    meaning_en: str
    milliseconds: float
    command: str | None = Field(description="all of it, of software cards only; PINs are zeros")
    response: str | None = Field(description="all of it, of software cards only")


class CardTrace(FrozenModel):
    """The last exchanges with the card that is in."""

    reader: str
    exchanges: tuple[ExchangeInfo, ...]


class CommandAsked(FrozenModel):
    command: Annotated[str, Field(max_length=1200, pattern="^([0-9A-Fa-f]{2})+$", examples=["0084000008"])]


class CommandAnswered(FrozenModel):
    response: str
    sw: str
    meaning: str
    meaning_en: str


@router.get("/{reader:path}/trace", responses=CARD_PROBLEMS, dependencies=[require_scope(Scope.FILES)])
async def read_trace(reader: str, registry: RegistryOf) -> CardTrace:
    """Return the commands of the last exchanges with the card, with their names and the card's answers.

    For real cards only headers, lengths and status words are kept. The trace is forgotten when the card leaves.
    """
    managed = registry.managed(reader)
    shown = [_shown(number, one, simulated=managed.reader.simulated) for number, one in enumerate(managed.trace, 1)]
    return CardTrace(reader=reader, exchanges=tuple(shown))


@router.post("/{reader:path}/apdu", responses=CARD_PROBLEMS, dependencies=[require_scope(Scope.APDU)])
async def send_command(asked: CommandAsked, call: CallOf) -> CommandAnswered:
    """Send one command unchanged to a software card; never to a card in a real reader."""
    if not call.managed.reader.simulated:
        raise SimulatedOnlyError()
    try:
        command = CommandApdu.from_bytes(bytes.fromhex(asked.command))
    except ValueError as error:
        raise UsageError("这不是一条命令", "that is no command APDU") from error
    answer = await call.run(lambda card: card.transmit(command), repeat=False)
    meaning = describe(answer.status_word)
    return CommandAnswered(
        response=bytes(answer).hex().upper(),
        sw=f"{answer.status_word:04X}",
        meaning=meaning.zh,
        meaning_en=meaning.en,
    )


def _shown(number: int, exchange: Exchange, *, simulated: bool) -> ExchangeInfo:
    command, response = without_pin(exchange.command), exchange.response
    name = command_name(command)
    status_word = int.from_bytes(response[-2:], "big") if len(response) > 1 else None
    meaning = describe(status_word) if status_word is not None else None
    return ExchangeInfo(
        number=number,
        name=name.zh,
        name_en=name.en,
        header=command[:4].hex().upper(),
        lc=max(0, len(command) - 5),
        length=max(0, len(response) - 2),
        sw=None if status_word is None else f"{status_word:04X}",
        meaning=meaning.zh if meaning else "没有应答",
        meaning_en=meaning.en if meaning else "no answer",
        milliseconds=round(exchange.seconds * 1000, 1),
        command=command.hex().upper() if simulated else None,
        response=response.hex().upper() if simulated else None,
    )
