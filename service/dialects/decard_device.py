"""What Decard's service does of its own beside the national functions: the device and bare cards."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.metadata import version

from cardio.apdu.command import CommandApdu
from cardio.errors import CardMuteError, NoCardError, NotSupportedError, UsageError
from cardio.readers.card_choice import Preference
from service.asking import Asking
from service.dialects.decard_dialect import HANDLE, DecardDialect
from service.dialects.messages import DialectRequest
from service.driver_calls import DriverCalls
from service.errors import SimulatedOnlyError
from service.scopes import Caller, Scope

_HEX = re.compile(r"([0-9A-Fa-f]{2}){4,600}")
_DONE = frozenset({"LibMain", "dc_exit", "dc_beep", "dc_reset", "dc_setcpu", "dc_cpudown", "dc_config_port_name"})
"""What callers do on their way, and what is of no consequence here: there is nothing to open, beep or power."""
PREFIXES = ("dc_", "LibMain")


async def device_answer(request: DialectRequest, calls: DriverCalls, caller: Caller, asking: Asking) -> str:
    """The message for a function of the device.

    Raises:
        NotSupportedError: it has no such function here. CardioError: the card says no.
    """
    answer = DecardDialect.answer
    match request.function:
        case "dc_init" | "dc_init_name":
            return answer(request, HANDLE, [])
        case name if name in _DONE:
            return answer(request, "0", ["0"] if name == "LibMain" else [])
        case "dc_getver":
            return answer(request, "0", [f"cardio {version('cardio')}"])
        case "dc_cpureset":
            caller.require(Scope.BASIC)
            desk = await calls.choose(Preference.CONTACT_FIRST, asking)
            if desk.card_session is None:
                raise NoCardError()
            if desk.info.atr is None:
                raise CardMuteError()
            return answer(request, "0", [str(len(desk.info.atr) // 2), desk.info.atr])
        case "dc_cpuapduInt":
            return await _command(request, calls, caller, asking)
    raise NotSupportedError(f"没有函数 {request.function[:40]}", f"there is no function {request.function[:40]!r}")


async def _command(request: DialectRequest, calls: DriverCalls, caller: Caller, asking: Asking) -> str:
    caller.require(Scope.APDU)
    desk = await calls.choose(Preference.CONTACT_FIRST, asking)
    if not desk.reader.simulated:
        raise SimulatedOnlyError()
    text = str(request.arguments.get("2", ""))
    if not _HEX.fullmatch(text):
        raise UsageError("命令应为十六进制", "a command is in hex")
    try:
        command = CommandApdu.from_bytes(bytes.fromhex(text))
    except ValueError as error:
        raise UsageError("这不是一条命令", "that is no command APDU") from error
    asking = replace(asking, action=request.function)
    response, _ = await desk.do(lambda card: card.transmit(command), asking, repeat=False)
    data = bytes(response).hex().upper()
    return DecardDialect.answer(request, "0", [str(len(data) // 2), data])
