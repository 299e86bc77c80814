"""A reader under another name, for two sources that have readers of the same name."""

from __future__ import annotations

from dataclasses import dataclass

from cardio.models.readers import ReaderInfo
from cardio.readers.base import Connection, Reader


@dataclass(frozen=True, slots=True)
class ShownReader:
    """A reader that behaves as the reader behind it and has another name."""

    name: str
    behind: Reader

    @property
    def simulated(self) -> bool:
        return self.behind.simulated

    def info(self) -> ReaderInfo:
        return self.behind.info().model_copy(update={"name": self.name})

    def connect(self) -> Connection:
        return self.behind.connect()
