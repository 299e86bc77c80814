"""The language of the command: Chinese, English, or both."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise


class Language(StrEnum):
    """A language of the command's words."""

    CHINESE = "zh"
    ENGLISH = "en"
    BOTH = "both"


LANGUAGE_OPTION = "--lang"
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""The variables of the locale; the first one that is set counts (POSIX.1-2024 §8.2)."""
CHINESE = r"[\u2e80-\u9fff\uff00-\uffef]"
"""The pattern of one Chinese character or mark."""
_BETWEEN = " / "


def language_of(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> Language:
    """Return the language of ``--lang``, else that of the locale; both if the locale has neither.

    Args:
        arguments: the arguments of the command, not parsed yet, because the help uses the language too.
        environment: the environment variables.
    """
    for option, following in pairwise([*arguments, ""]):
        name, mark, value = option.partition("=")
        if name == LANGUAGE_OPTION:
            wanted = value if mark else following
            if wanted in set(Language):
                return Language(wanted)
    locale = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    language = re.split(r"[_.@-]", locale.lower())[0]
    return Language(language) if language in (Language.CHINESE, Language.ENGLISH) else Language.BOTH


def in_language(language: Language, chinese: str, english: str, *, between: str = _BETWEEN) -> str:
    """Return a text in one language, or in both."""
    match language:
        case Language.CHINESE:
            return chinese
        case Language.ENGLISH:
            return english
    return chinese + between + english


def help_in(language: Language, text: str) -> str:
    """Return a help text in a language. It is declared in one line ``中文 / English``, or several such lines.

    A line without this shape (an example, an address) stays as it is.
    """
    return "\n".join(_line_in(language, line) for line in text.split("\n"))


def _line_in(language: Language, line: str) -> str:
    if language is Language.BOTH:
        return line
    for found in re.finditer(_BETWEEN, line):
        chinese, english = line[: found.start()], line[found.end() :]
        first = re.search(CHINESE, chinese)
        if first is None or not english or re.search(CHINESE, english):
            continue  # names in a list are joined by the same mark
        if language is Language.CHINESE:
            return chinese
        example = re.match(r".*\s{2,}", chinese[: first.start()])  # the example in front of its description
        return (example.group() if example is not None else "") + english
    return line


def split_languages(text: str) -> tuple[str, str]:
    """Return the Chinese and the English of a text declared as ``中文 / English``; twice the text if it was not."""
    return help_in(Language.CHINESE, text), help_in(Language.ENGLISH, text)


def title_in(language: Language, title: str) -> str:
    """Return a short name in a language; it is declared as ``中文 english``."""
    chinese, _, english = title.partition(" ")
    both = bool(english) and not chinese.isascii()
    return in_language(language, chinese, english, between=" ") if both else title
