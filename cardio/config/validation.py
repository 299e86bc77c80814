"""The Chinese words for an invalid value: pydantic has English ones only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WHOLE, _NUMBER, _LIST, _OBJECT, _ONE_OF = "应为整数", "应为数字", "应为列表", "应为对象", "应为 {expected}"
_WORDS = {
    "missing": "缺少该项",
    "extra_forbidden": "没有这一项",
    "json_invalid": "不是 JSON",
    "string_type": "应为文本",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "最多 {max_length} 个字符",
    "string_pattern_mismatch": "格式应为 {pattern}",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "应不小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "应不大于 {le}",
    "too_short": "至少 {min_length} 项",
    "too_long": "最多 {max_length} 项",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "enum": _ONE_OF,
    "literal_error": _ONE_OF,
    "path_type": "应为文件路径",
}


def in_chinese(found: Mapping[str, Any]) -> str:
    """Return the Chinese words for one of pydantic's errors (`ValidationError.errors`).

    The given value is not quoted, because it may contain a secret.
    """
    context = {key: _listed(value) for key, value in found.get("ctx", {}).items()}
    try:
        return _WORDS[found["type"]].format_map(context)
    except KeyError:
        return f"值不对：{found['msg']}"


def _listed(value: Any) -> str:
    """Return ``'a', 'b' or 'c'`` as a Chinese list."""
    return str(value).replace(" or ", "、").replace(", ", "、").replace("'", "")
