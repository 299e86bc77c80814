"""The journal of debits with many rows that were never settled, against a small one in the same run."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cardio.debits.transaction import DebitIntent, DebitState, result_of
from service.debits.journal import Journal
from service.debits.journal_file.steps import key_mark

_ROWS = int(os.environ.get("CARDIO_BENCH_ROWS", "100000"))
_SMALL = 1_000
_TIMES = 20
_INSERT = (
    "INSERT INTO debit (id, owner, idempotency_key, asked, state, sent, card, number, terminal, time, intent, result,"
    " created, changed, acknowledged, key_mark)"
    " VALUES (?, ?, ?, 'x', 'delivered', 1, ?, ?, '000000009999', ?, ?, ?, ?, ?, ?, ?)"
)


def _intent(number: int) -> DebitIntent:
    when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    return DebitIntent(
        personal_account_amount=0, self_paid_amount=10, pooled_fund_amount=20, time=f"{when:%Y%m%d%H%M%S}",
        terminal_number="000000009999", transaction_number=number % 65536, key="DPK1", key_version=1,
        algorithm_number=0, challenge="A1B2C3D4", personal_account_balance=28000, self_paid_total=3150,
        pooled_fund_total=20600, payment_year="2026", terminal_transaction_number="0000000C",
    )  # fmt: skip


def _filled(folder: Path, rows: int) -> Path:
    """Return the journal of a site that never records what is booked."""
    path = folder / "debits.sqlite"
    journal = Journal(path)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    file, chain = journal._file, journal.chain
    for start in range(0, rows, 2000):
        with file.transaction() as database:
            for number in range(start, min(rows, start + 2000)):
                intent, at = _intent(number), (begin + timedelta(seconds=number)).isoformat()
                owner = "https://his.example" if number % 3 else "local"
                mark = key_mark(chain, owner, f"order-{number}")
                values = (
                    f"{number:016x}", owner, f"order-{number}", f"card-{number % 5000}", intent.transaction_number,
                    intent.time, intent.model_dump_json(), result_of(intent, None, "card").model_dump_json(),
                    at, at, at, mark,
                )  # fmt: skip
                database.execute(_INSERT, values)
                database.execute("INSERT INTO known (key_mark, debit) VALUES (?, ?)", (mark, values[0]))
    journal.close()
    return path


def _milliseconds(do: Callable[[], object], times: int = _TIMES) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        do()
        taken.append((time.perf_counter() - started) * 1e3)
    return statistics.median(taken)


class _Measured:
    """The measurements of one journal."""

    def __init__(self, path: Path) -> None:
        self.start = _milliseconds(lambda: Journal(path).close(), 5)
        self.journal = Journal(path)
        self.done = 0
        self.list = _milliseconds(lambda: self.journal.list_debits(None))
        self.own = _milliseconds(lambda: self.journal.list_debits("local", all_states=True))
        self.counts = _milliseconds(self.journal.counts)
        self.debit = _milliseconds(self._debit)
        stop = threading.Event()
        listing = [threading.Thread(target=self._list_until, args=(stop,)) for _ in range(10)]
        for one in listing:
            one.start()
        self.debit_beside_lists = _milliseconds(self._debit)
        stop.set()
        for one in listing:
            one.join()
        started = time.perf_counter()
        verified = self.journal.verify()
        self.verified = verified.debits / (time.perf_counter() - started)
        assert verified.is_whole
        self.journal.close()

    def _list_until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.journal.list_debits(None)

    def _debit(self) -> None:
        self.done += 1
        given = _intent(self.done).model_copy(update={"time": f"2027{self.done:010}", "terminal_number": "0" * 12})
        entry = self.journal.claim("local", f"bench {self.done}", "x")
        entry.bind_card(f"bench card {self.done}".encode())
        entry.transition(DebitState.PREPARED)
        entry.transition(DebitState.INITIALISED, intent=given)
        entry.transition(DebitState.ARMED, intent=given)
        entry.transition(DebitState.SENT)
        entry.transition(DebitState.COMMITTED, result=result_of(given, None, "mac2"))
        entry.transition(DebitState.DELIVERED)
        entry.release()


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, one) for one in ("small", "large")]
        paths = [_filled(folder, rows) for folder, rows in zip(folders, (_SMALL, _ROWS), strict=True)]
        small, large = map(_Measured, paths)
        print(f"{_ROWS:,} debits never settled against {_SMALL:,}; ms, and how many times the small one's")
        for what in ("start", "list", "own", "counts", "debit", "debit_beside_lists"):
            few, many = getattr(small, what), getattr(large, what)
            print(f"{what.replace('_', ' '):20} {few:8.1f} {many:8.1f}   ratio {many / few:.2f}")
        print(f"verifying {large.verified:,.0f} debits a second; {_share(paths[1]):,.0f} bytes of the file for each")


def _share(path: Path) -> float:
    return path.stat().st_size / _ROWS
