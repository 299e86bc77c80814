"""The JSON dialect of ``ws://127.0.0.1:12342``.

``{"function":"iReadCardBas","iType":3}`` is answered by
``{"functionName":"iReadCardBas","success":"1","pOutInfo":"…|"}``. ``success`` is a text: ``"1"``, or the driver's
negative code; ``pOutInfo`` then describes the error in Chinese. Callers match replies by ``functionName``. If there is
a SAM, ``proof`` and ``proofInfo`` beside data of a card give the result of its proof.
"""

from __future__ import annotations

from cardio.driver.return_codes import code_of
from cardio.errors import CardioError, UsageError
from cardio.models.reading import Proof
from service.driver.dialect import Dialect, DialectRequest, as_message, as_object, description, proof_members

_DONE = "1"
_STEP_1, _STEP_2 = "_HSM_Step1", "_HSM_Step2"
_NAMELESS_STEP_2 = "ReadCard_HSM_Step2"
"""The name that a widespread page uses for the second step of both reading functions; it waits for the full name."""


class JsonDialect(Dialect):
    name, port = "json", 12342

    def __init__(self) -> None:
        self._last_first_step = "iReadCardBas" + _STEP_1

    def parse(self, message: str) -> DialectRequest:
        document = as_object(message)
        name = document.get("function")
        if not isinstance(name, str):
            raise UsageError("没有 function", "there is no `function`")
        if name == _NAMELESS_STEP_2:
            name = self._last_first_step.removesuffix(_STEP_1) + _STEP_2
        if name in ("iReadCardBas" + _STEP_1, "iReadCard" + _STEP_1):
            self._last_first_step = name
        return DialectRequest(name, {key: value for key, value in document.items() if key != "function"})

    def done(self, request: DialectRequest, output: str, proof: Proof | None = None) -> str:
        reply = {"functionName": request.function, "success": _DONE, "pOutInfo": output}
        return as_message(reply | proof_members(output, proof))

    def failed(self, request: DialectRequest | None, error: CardioError) -> str:
        code = code_of(error)
        name = "" if request is None else request.function[:64]
        return as_message({"functionName": name, "success": str(code), "pOutInfo": description(code, error)})
