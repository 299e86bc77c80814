"""The dialect of Decard's reader service, ``ws://127.0.0.1:50150``.

``{"func":"iReadCardBas","in":["3"]}`` is answered by ``{"func":"iReadCardBas","result":"0","out":["…|"]}``: all
arguments and results are texts, in order, and each request has exactly one reply. What its own functions (``dc_…``)
give is as its published browser client reads it: ``dc_init`` a handle above 0, ``dc_cpureset`` length and ATR.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cardio.driver_codes import code_of
from cardio.driver_functions import FUNCTIONS
from cardio.errors import CardioError, UsageError
from service.dialects.json_dialect import description
from service.dialects.messages import DialectRequest, as_message, as_object

HANDLE = "1"
"""The device: there is one, whatever reader it is."""
_MOST_ARGUMENTS = 16


class DecardDialect:
    def parse(self, message: str) -> DialectRequest:
        document = as_object(message)
        name, given = document.get("func"), document.get("in", [])
        if not isinstance(name, str) or not isinstance(given, list) or len(given) > _MOST_ARGUMENTS:
            raise UsageError("应有 func 和 in", "`func` and `in` are wanted")
        known = FUNCTIONS.get(name)
        names: Sequence[str] = known.arguments if known is not None else [str(n) for n in range(len(given))]
        arguments: dict[str, Any] = dict(zip(names, given, strict=False))
        return DialectRequest(name, arguments)

    def done(self, request: DialectRequest, output: str) -> str:
        return self.answer(request, "0", [output])

    def failed(self, request: DialectRequest | None, error: CardioError) -> str:
        code = code_of(error)
        return self.answer(request, str(code), [description(code, error)])

    @staticmethod
    def answer(request: DialectRequest | None, result: str, out: Sequence[str]) -> str:
        name = "" if request is None else request.function[:64]
        return as_message({"func": name, "result": result, "out": list(out)})
