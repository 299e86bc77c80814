"""The command's argument parser: argparse, with its own words in the language of the command."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentError, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable
from typing import Any, NoReturn

from cardio.cli.language import Language, help_in, in_language, split_languages, title_in
from cardio.errors import UsageError

_HELP = "显示帮助 / show this help"
_JSON = "输出 JSON / print JSON: one document; watch and shell one a line"
_LANGUAGE = "语言：zh、en 或 both，默认按系统语言 / language: zh, en or both; default: the locale's"
EXAMPLE = "示例 example"
"""The heading of an action's examples; the help shows it in its language."""
_GROUPS = {"options": "选项 options", "positional arguments": "参数 arguments"}
"""argparse's own titles, and the ones that replace them."""


class CardioParser(ArgumentParser):
    """A parser that reports wrong usage like any other error: in words for people, as a document for programs."""

    def __init__(self, *, language: Language = Language.BOTH, **named: Any) -> None:
        fixed = {"formatter_class": RawDescriptionHelpFormatter, "add_help": False, "exit_on_error": False}
        super().__init__(**(named | fixed))
        self.language = language
        self.add_argument("-h", "--help", action="help", default=SUPPRESS, help=_HELP)

    def add_subparsers(self, **named: Any) -> Any:
        """Add subparsers as argparse does; those below use the same language and take the common options too."""
        language = self.language

        def make(**more: Any) -> CardioParser:
            parser = CardioParser(language=language, **more)
            add_common_options(parser)
            return parser

        return super().add_subparsers(**{"parser_class": make, **named})

    def error(self, message: str) -> NoReturn:
        raise self._usage_error(*_words_of(message, self))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, with errors of wrong usage in both languages."""
        try:
            return super().parse_known_args(args, namespace)
        except ArgumentError as error:
            raise self._usage_error(*_words_of_argument(error)) from error

    def _usage_error(self, chinese: str, english: str) -> UsageError:
        error = UsageError(f"用法错误：{chinese}", f"wrong usage: {english}")
        error.remedy = f"请更正参数；{self.prog} --help 列出全部用法。"
        error.remedy_en = f"Correct the argument; {self.prog} --help lists what there is."
        return error

    def options(self) -> Iterable[str]:
        """Yield the options of this parser, and of the commands under it."""
        for action in self._actions:
            yield from action.option_strings
            for choice in action.choices.values() if isinstance(action.choices, dict) else ():
                yield from choice.options()

    def format_usage(self) -> str:
        return self._with_label(super().format_usage())

    def format_help(self) -> str:
        """Return the help in the language of the command: every text is declared as ``中文 / English``."""
        for action in self._texts():
            if action.help is not None and action.help != SUPPRESS:
                action.help = help_in(self.language, action.help)
        for group in self._action_groups:
            group.title = title_in(self.language, _GROUPS.get(group.title or "", group.title or ""))
        self.description = help_in(self.language, self.description or "") or None
        epilog = (self.epilog or "").replace(f"{EXAMPLE}:", f"{title_in(self.language, EXAMPLE)}:")
        self.epilog = help_in(self.language, epilog) or None
        return self._with_label(super().format_help())

    def _texts(self) -> Iterable[Action]:
        for action in self._actions:
            yield action
            yield from getattr(action, "_choices_actions", ())

    def _with_label(self, text: str) -> str:
        return in_language(self.language, "用法", "usage", between=" ") + text.removeprefix("usage")


def add_common_options(parser: ArgumentParser) -> None:
    """Add ``--json`` and ``--lang``, which ``cardio`` has, every command, and every action of a command.

    They have no defaults here: those of an action would undo what was said before it, as in ``cardio sim --json list``.
    """
    languages = [str(one) for one in Language]
    parser.add_argument("--json", action="store_true", default=SUPPRESS, help=_JSON)
    parser.add_argument("--lang", choices=languages, metavar="LANG", default=SUPPRESS, help=_LANGUAGE)


def _probably(given: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches  # imported only for an error

    return next(iter(get_close_matches(given, sorted(set(known)), n=1)), None)


def _words_of(message: str, parser: CardioParser) -> tuple[str, str]:
    """Return one of argparse's messages in Chinese and English, with the option that was probably meant."""
    kind, _, what = message.partition(": ")
    if kind == "unrecognized arguments":
        option = what.split()[0].partition("=")[0]
        meant = _probably(option, parser.options()) if option.startswith("-") else None
        if meant == option:
            return f"选项 {option} 不能用在这里", f"the option {option} does not belong here"
        if meant:
            return f"没有选项 {option}，是否想输入 {meant}", f"there is no option {option}; did you mean {meant}?"
        return f"多余的参数：{what}", f"too many arguments: {what}"
    if kind == "the following arguments are required":
        return f"缺少参数：{what}", f"missing arguments: {what}"
    return message, message


def _words_of_argument(error: ArgumentError) -> tuple[str, str]:
    """Return argparse's message on one argument in Chinese and English, with the value that was probably meant."""
    name, message = error.argument_name or "", error.message
    if message.startswith("invalid choice"):
        return _invalid_choice(name, message)
    if message == "expected one argument":
        return f"{name} 后面缺少一个值", f"{name} wants a value"
    if message == "expected at least one argument":
        return f"{name} 后面至少要有一个值", f"{name} wants at least one value"
    chinese, english = split_languages(message)  # messages of our own checks have both languages
    return f"{name}：{chinese}", f"{name}: {english}"


def _invalid_choice(name: str, message: str) -> tuple[str, str]:
    given = message.partition("'")[2].partition("'")[0]
    choices = message.partition("choose from ")[2].rstrip(")").replace("'", "").split(", ")
    meant = _probably(given, choices)
    what, what_en = ("命令", "command") if name == "COMMAND" else (f" {name} 的值", f"value of {name}:")
    if meant:
        return f"没有{what} {given}，是否想输入 {meant}", f"there is no {what_en} {given}; did you mean {meant}?"
    listed = ", ".join(choices)
    return f"没有{what} {given}；可选：{listed}", f"there is no {what_en} {given}; choose one of: {listed}"
