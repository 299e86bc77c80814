"""What tests of the journal's file share: debits brought to a state, and files copied, torn and edited from outside."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from cardio.debits.transaction import DebitState
from service.debits.journal import Journal
from tests.unit.service.debits.test_journal import bring, intent

S = DebitState


def debit(journal: Journal, key: str, state: DebitState = S.COMMITTED, number: int | None = None) -> str:
    """Take one debit to a state, on a card of its own number and second; return its id."""
    number = len(journal.list_debits(None, all_states=True)) + 20 if number is None else number
    given = intent(number, f"20151118{number // 3600 % 24:02}{number // 60 % 60:02}{number % 60:02}")
    return bring(journal.claim("local", key, "x"), state, given=given).id


def files(path: Path) -> list[Path]:
    """The files of a journal that a person sees: the database, what SQLite has beside it, and the key."""
    return sorted(one for one in path.parent.glob("debits.*"))


def copied(path: Path, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy2(one, folder)) for one in files(path)]


def put_back(copies: list[Path], path: Path) -> None:
    """Put a copy of the files in the place of what is there."""
    for one in files(path):
        one.unlink()
    for one in copies:
        shutil.copy2(one, path.parent)


def edit(path: Path, *statements: str) -> None:
    """Change the database from outside, as any program of the same user can."""
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()
