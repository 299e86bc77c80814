"""What is wrong with a value is said in Chinese, and never by quoting it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cardio.config.validation import in_chinese


class Inner(BaseModel):
    code: Literal["a", "b", "c"] = "a"


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=2, max_length=4, pattern="^[a-z]+$")] = "aa"
    number: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    on: bool = False
    many: Annotated[list[str], Field(min_length=1, max_length=2)] = ["x"]
    inner: Inner = Inner()
    wanted: int | None = None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": 5}, "应为文本"),
        ({"name": "a"}, "至少 2 个字符"),
        ({"name": "geheim"}, "最多 4 个字符"),
        ({"name": "GEHE"}, "格式应为 ^[a-z]+$"),
        ({"number": "geheim"}, "应为整数"),
        ({"number": 1.5}, "应为整数"),
        ({"number": 0}, "应不小于 1"),
        ({"number": 10}, "应不大于 9"),
        ({"share": "geheim"}, "应为数字"),
        ({"share": 0}, "应大于 0.0"),
        ({"share": 1}, "应小于 1.0"),
        ({"on": "geheim"}, "应为 true 或 false"),
        ({"many": "geheim"}, "应为列表"),
        ({"many": []}, "至少 1 项"),
        ({"many": ["a", "b", "c"]}, "最多 2 项"),
        ({"inner": 1}, "应为对象"),
        ({"inner": {"code": "geheim"}}, "应为 a、b、c"),
        ({"geheim": 1}, "没有这一项"),
    ],
)
def test_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Asked.model_validate(given)
    said = in_chinese(caught.value.errors()[0])
    assert said == words and "geheim" not in said.lower()


def test_what_is_missing_and_what_is_no_json() -> None:
    class Needs(BaseModel):
        name: str

    with pytest.raises(ValidationError) as caught:
        Needs.model_validate({})
    assert in_chinese(caught.value.errors()[0]) == "缺少该项"
    with pytest.raises(ValidationError) as caught:
        Needs.model_validate_json("{")
    assert in_chinese(caught.value.errors()[0]) == "不是 JSON"


def test_what_has_no_words_yet_is_said_as_pydantic_says_it() -> None:
    assert in_chinese({"type": "of-next-year", "msg": "Input should be new"}) == "值不对：Input should be new"
    assert in_chinese({"type": "too_long", "msg": "without its number"}) == "值不对：without its number"
