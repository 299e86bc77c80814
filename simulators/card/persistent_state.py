"""The state that a software card keeps without power: the PIN, tries, and the changes of its files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardio.errors import ConfigurationError
from simulators.card.files import CardFile

_Hex = Annotated[str, Field(pattern="^([0-9A-F]{2})*$")]
_Left = Annotated[int, Field(ge=0, le=15)]


class LastDebit(BaseModel):
    """The data that prove the last debit afterwards."""

    model_config = ConfigDict(extra="forbid")

    number: int
    mac2: _Hex
    tac: _Hex


_Fen = Annotated[int, Field(ge=0, le=0xFFFFFFFF, strict=True)]
_Counter = Annotated[int, Field(ge=0, le=0xFFFF, strict=True)]


class PurseState(BaseModel):
    """The 医疗保险金额文件: the card's data about money, by the names of its layout; amounts are in fen."""

    model_config = ConfigDict(extra="forbid")

    online_counter: _Counter = 0
    offline_counter: _Counter = 0
    """The 交易序号 before the next debit."""
    personal_account_balance: _Fen = 0
    self_paid_total: _Fen = 0
    pooled_fund_total: _Fen = 0
    payment_year: Annotated[str, Field(pattern="^[0-9]{4}$")] = "0000"
    year_start: Annotated[str, Field(pattern="^[0-9]{4}$")] = "0101"
    last: LastDebit | None = None


class CardState(BaseModel):
    """Everything that outlives a reset, in the form of its JSON."""

    model_config = ConfigDict(extra="forbid")

    historical_bytes: _Hex
    """The historical bytes of the card that the state belongs to."""
    pin: _Hex
    pin_tries: _Left
    key_tries: dict[str, _Left] = {}
    """The tries left, by name, of the keys with which an authentication has failed."""
    records: dict[str, list[_Hex]] = {}
    """The records of the files that were written to, by path."""
    contents: dict[str, _Hex] = {}
    purse: PurseState | None = None

    def note(self, file: CardFile) -> None:
        """Record the present contents of a file."""
        if file.structure == "transparent":
            self.contents[file.path] = file.content.hex().upper()
        else:
            self.records[file.path] = [record.hex().upper() for record in file.records]

    def recall(self, files: Iterable[CardFile]) -> None:
        """Put the recorded contents into the files.

        Raises:
            ConfigurationError: the card has no such file.
        """
        by_path = {file.path: file for file in files}
        strangers = sorted({*self.records, *self.contents} - by_path.keys())
        if strangers:
            raise ConfigurationError(
                f"模拟卡没有存储中的文件 {'、'.join(strangers)}",
                f"the card's memory has files that the card has not: {', '.join(strangers)}",
            )
        for path, records in self.records.items():
            by_path[path].records = [bytes.fromhex(record) for record in records]
        for path, content in self.contents.items():
            by_path[path].content = bytearray.fromhex(content)


class CardMemory:
    """A file that keeps one card's state from process to process. Only one process at a time may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, historical_bytes: bytes) -> CardState | None:
        """Return the state of the card with these historical bytes; None if there is no file yet.

        Raises:
            ConfigurationError: the file is another card's, or no card's.
        """
        try:
            state = CardState.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(
                f"模拟卡存储 {self._path}：{error}", f"card memory {self._path}: {error}"
            ) from error
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"]) or "JSON"
            # The contents of the file are not quoted, because a PIN is among them.
            raise ConfigurationError(
                f"模拟卡存储 {self._path} 内容有误（{place}）", f"card memory {self._path} is not one ({place})"
            ) from None
        if state.historical_bytes != historical_bytes.hex().upper():
            raise ConfigurationError(
                f"模拟卡存储 {self._path} 属于另一张卡", f"the card memory {self._path} is another card's"
            )
        return state

    def store(self, state: CardState) -> None:
        """Replace the whole file: if the process is killed meanwhile, the file has the old state or the new one."""
        handle, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(state.model_dump_json(indent=1))
            os.replace(temporary, self._path)
        except BaseException:
            os.unlink(temporary)
            raise
