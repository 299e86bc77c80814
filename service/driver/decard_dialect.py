"""The dialect of Decard's reader service, ``ws://127.0.0.1:50150``.

``{"func":"iReadCardBas","in":["3"]}`` is answered by ``{"func":"iReadCardBas","result":"0","out":["…|"]}``. All
arguments and results are texts, in order, and each request has exactly one reply. If there is a SAM, ``proof`` and
``proofInfo`` beside data of a card give the result of its proof. Beside the national functions the dialect has
functions of its own (``dc_…``), which return the values that its published browser client reads: ``dc_init`` a handle
above 0, ``dc_cpureset`` length and ATR, ``dc_GetSocialSecurityCardBaseInfo`` fourteen texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cardio.apdu.command import CommandApdu
from cardio.driver.functions import FUNCTIONS, READ_BASIC
from cardio.driver.return_codes import code_of
from cardio.errors import CardioError, CardMuteError, NoCardError, NotSupportedError, UsageError
from cardio.models.reading import Proof
from service.driver.dialect import Dialect, DialectRequest, as_message, as_object, description, proof_members
from service.driver.dialect_calls import DialectCalls
from service.gate.scopes import Scope
from service.readers.errors import SimulatedOnlyError
from service.readers.schemas import VERSION

_HANDLE = "1"
"""The handle of the device: there is one, for every reader."""
_MOST_ARGUMENTS = 16
_HEX = re.compile(r"([0-9A-Fa-f]{2}){4,600}")
_OWN = ("dc_", "LibMain")
"""The prefixes of the device's own functions."""
_NOTHING_TO_DO = frozenset(
    {"LibMain", "dc_exit", "dc_beep", "dc_reset", "dc_setcpu", "dc_cpudown", "dc_config_port_name"}
)
"""The functions that callers use on their way and that do nothing here: there is nothing to open, beep or power."""
_CARD_TYPES = ("0", "1")
"""Contact or contactless. Public callers number them in either order, so both mean the card that is there."""


class DecardDialect(Dialect):
    name, port = "decard", 50150
    patience = 10.0
    """The time limit of its published client (``callDcrf32``).

    Replies carry no number, so the client takes any reply for the answer to its last call.
    """

    def parse(self, message: str) -> DialectRequest:
        document = as_object(message)
        name, given = document.get("func"), document.get("in", [])
        if not isinstance(name, str) or not isinstance(given, list) or len(given) > _MOST_ARGUMENTS:
            raise UsageError("应有 func 和 in", "`func` and `in` are wanted")
        known = FUNCTIONS.get(name)
        names: Sequence[str] = known.arguments if known is not None else [str(n) for n in range(len(given))]
        arguments: dict[str, Any] = dict(zip(names, given, strict=False))
        return DialectRequest(name, arguments)

    def done(self, request: DialectRequest, output: str, proof: Proof | None = None) -> str:
        return self._answer(request, "0", [output], proof)

    def failed(self, request: DialectRequest | None, error: CardioError) -> str:
        code = code_of(error)
        return self._answer(request, str(code), [description(code, error)])

    async def own_function(self, request: DialectRequest, calls: DialectCalls) -> str | None:
        name = request.function
        if not name.startswith(_OWN):
            return None
        match name:
            case "dc_init" | "dc_init_name":
                return self._answer(request, _HANDLE, [])
            case _ if name in _NOTHING_TO_DO:
                return self._answer(request, "0", ["0"] if name == "LibMain" else [])
            case "dc_getver":
                return self._answer(request, "0", [f"cardio {VERSION}"])
            case "dc_cpureset":
                return self._answer(request, "0", await self._reset(calls))
            case "dc_cpuapduInt":
                return self._answer(request, "0", await self._command(request, calls))
            case "dc_GetSocialSecurityCardBaseInfo":
                self._check_card_type(request)
                basic = await calls.call(READ_BASIC, {}, layout="colon")
                return self._answer(request, "0", basic.output.split(":"), basic.proof)
            case "dc_GetBankAccountNumber":
                self._check_card_type(request)
                number = await calls.call("iReadICCardNum", {})
                return self._answer(request, "0", [number.output], number.proof)
        raise NotSupportedError(f"没有函数 {name[:40]}", f"there is no function {name[:40]!r}")

    @staticmethod
    def _check_card_type(request: DialectRequest) -> None:
        if (given := str(request.arguments.get("1", "0"))) not in _CARD_TYPES:
            raise UsageError(f"type 应为 0 或 1，而不是 {given[:8]}", f"type is 0 or 1, not {given[:8]!r}")

    @staticmethod
    async def _reset(calls: DialectCalls) -> list[str]:
        calls.context.caller.require(Scope.BASIC)
        managed = await calls.reader()
        if managed.card_session is None:
            raise NoCardError()
        if managed.info.atr is None:
            raise CardMuteError()
        return [str(len(managed.info.atr) // 2), managed.info.atr]

    @staticmethod
    async def _command(request: DialectRequest, calls: DialectCalls) -> list[str]:
        calls.context.caller.require(Scope.APDU)
        managed = await calls.reader()
        if not managed.reader.simulated:
            raise SimulatedOnlyError()
        text = str(request.arguments.get("2", ""))
        if not _HEX.fullmatch(text):
            raise UsageError("命令应为十六进制", "a command is in hex")
        try:
            command = CommandApdu.from_bytes(bytes.fromhex(text))
        except ValueError as error:
            raise UsageError("这不是一条命令", "that is no command APDU") from error
        response = await calls.transmit(managed, command, request.function)
        data = bytes(response).hex().upper()
        return [str(len(data) // 2), data]

    @staticmethod
    def _answer(request: DialectRequest | None, result: str, out: Sequence[str], proof: Proof | None = None) -> str:
        name = "" if request is None else request.function[:64]
        reply: dict[str, Any] = {"func": name, "result": result, "out": list(out)}
        return as_message(reply | proof_members("".join(out), proof))
