"""Lists that are written row by row: they look as if all rows had been in memory."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from cardio.cli.output import Output


def printed(write: str, *arguments: Any) -> str:
    out = io.StringIO()
    getattr(Output(as_json=True, stdout=out), write)(*arguments)
    return out.getvalue()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_document_of_a_list(count: int) -> None:
    items = [{"number": number, "origin": "本机", "lines": ["a", "b\nc"]} for number in range(count)]
    text = printed("document_of", "entries", iter(items))
    assert text == printed("document", {"entries": items})
    assert json.loads(text) == {"entries": items}


def test_a_table_whose_widest_row_comes_late() -> None:
    rows = [["序号", "事项"], ["1", "读卡"], ["1000", "x"]]
    assert printed("long_table", lambda: iter(rows)) == printed("table", rows) == "序号  事项\n1     读卡\n1000  x\n"


def test_rows_that_come_in_between_are_left_out() -> None:
    given = [[["1", "a"]], [["1", "a"], ["22", "b"]]]
    assert printed("long_table", lambda: given.pop(0)) == "1  a\n"


def test_an_empty_table_is_nothing() -> None:
    assert printed("long_table", lambda: iter([])) == ""
