"""The dialect of a document scanner's service with a card reader in it, ``ws://127.0.0.1:8342``.

``{"Func":"Read3thSSCardPSAM","arg":3}`` is answered by ``{"FuncName":"Read3thSSCardPSAM","result":"…|"}``. Source: one
public copy of the service's browser script (scanner, card and signature functions after Sichuan's interface). The
script shows the names of functions, the greeting and the members of a reply. It passes ``result`` to the page
unchanged, so the form of a failure is not known: here it is the driver's code and its words, without a bar.
"""

from __future__ import annotations

from collections.abc import Mapping

from cardio.driver.functions import READ_BASIC
from cardio.driver.return_codes import code_of
from cardio.errors import CardioError, NotSupportedError, UsageError
from cardio.models.reading import Proof
from service.driver.dialect import Dialect, DialectRequest, as_message, as_object, description, proof_members
from service.driver.dialect_calls import DialectCalls

_FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "Read2thSSCard": (READ_BASIC, "iType"),
    "Read2thSSCardDC": (READ_BASIC, "iType"),
    "Read3thSSCardPSAM": (READ_BASIC, "iType"),
    "Read3thSSCardHSM1": (f"{READ_BASIC}_HSM_Step1", "iType"),
    "Read3thSSCardHSM2": (f"{READ_BASIC}_HSM_Step2", "pKey"),
}
"""The functions of the dialect: each with its national function, and the argument that ``arg`` stands for."""
_NO_ARGUMENT = (0, "0", "", None)
"""The values that the script sends for a function without an argument."""


class ScannerDialect(Dialect):
    name, port = "scanner", 8342
    greeting = as_message({"FuncName": "Connect", "result": 1})

    def parse(self, message: str) -> DialectRequest:
        document = as_object(message)
        name = document.get("Func")
        if not isinstance(name, str):
            raise UsageError("没有 Func", "there is no `Func`")
        return DialectRequest(name, {"arg": document.get("arg")})

    async def own_function(self, request: DialectRequest, calls: DialectCalls) -> str | None:
        if request.function not in _FUNCTIONS:
            name = request.function[:40]
            raise NotSupportedError(f"没有函数 {name}", f"there is no function {name!r}")
        function, argument = _FUNCTIONS[request.function]
        value = request.arguments["arg"]
        given = {} if argument == "iType" and value in _NO_ARGUMENT else {argument: value}
        done = await calls.call(function, given)
        return self.done(request, done.output, done.proof)

    def done(self, request: DialectRequest, output: str, proof: Proof | None = None) -> str:
        return as_message({"FuncName": request.function, "result": output} | proof_members(output, proof))

    def failed(self, request: DialectRequest | None, error: CardioError) -> str:
        code = code_of(error)
        name = "" if request is None else request.function[:64]
        return as_message({"FuncName": name, "result": f"{code} {description(code, error)}"})
