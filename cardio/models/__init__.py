"""The results of cardio: models that become JSON as they are.

Example:
    >>> from cardio.models import ReaderInfo, ReaderStatus
    >>> info = ReaderInfo(name="Counter 1", simulated=True, status=ReaderStatus.EMPTY, atr=None, event_counter=0)
    >>> info.model_dump_json()
    '{"name":"Counter 1","simulated":true,"status":"empty","atr":null,"event_counter":0}'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.models.base import FrozenModel as FrozenModel
    from cardio.models.files import CardTree as CardTree
    from cardio.models.files import FileContent as FileContent
    from cardio.models.files import Report as Report
    from cardio.models.problem import Problem as Problem
    from cardio.models.readers import ReaderEvent as ReaderEvent
    from cardio.models.readers import ReaderInfo as ReaderInfo
    from cardio.models.readers import ReaderStatus as ReaderStatus
    from cardio.models.reading import CardReading as CardReading
    from cardio.models.reading import Proof as Proof

_HOMES = {
    "CardReading": "reading",
    "CardTree": "files",
    "FileContent": "files",
    "FrozenModel": "base",
    "Problem": "problem",
    "Proof": "reading",
    "ReaderEvent": "readers",
    "ReaderInfo": "readers",
    "ReaderStatus": "readers",
    "Report": "files",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
