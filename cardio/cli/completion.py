"""Completion scripts for shells, and the manual page, made from the command's parser."""

from __future__ import annotations

import re
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cardio.cli.language import CHINESE, Language, help_in


@dataclass(frozen=True, slots=True)
class Word:
    """A word that may be typed: a command, an action or an option."""

    text: str
    help: str
    choices: tuple[str, ...] = ()
    """The values that an option takes, where they are known."""
    takes_value: bool = False


@dataclass(frozen=True, slots=True)
class CommandWords:
    """One command: its actions and its options."""

    name: str
    help: str
    actions: tuple[Word, ...] = ()
    options: tuple[Word, ...] = ()
    choices: tuple[Word, ...] = ()
    """The values of its arguments, where they are known."""


def command_words(parser: ArgumentParser, language: Language) -> list[CommandWords]:
    """Return the commands of a parser."""
    found = []
    for name, (help_text, sub) in _commands(parser).items():
        actions, options = _commands(sub), list(_options(sub, language))
        for _, action in actions.values():
            options += [one for one in _options(action, language) if one not in options]
        words = tuple(Word(action, help_in(language, said)) for action, (said, _) in actions.items())
        choices = tuple(
            Word(str(choice), "")
            for one in sub._actions
            if not one.option_strings and not isinstance(one.choices, dict)
            for choice in one.choices or ()
        )
        found.append(CommandWords(name, help_in(language, help_text), words, tuple(options), choices))
    return found


def _commands(parser: ArgumentParser) -> Mapping[str, tuple[str, ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action.choices, dict):
            said = {one.dest: one.help or "" for one in getattr(action, "_choices_actions", ())}
            return {name: (said.get(name, ""), sub) for name, sub in action.choices.items()}
    return {}


def _options(parser: ArgumentParser, language: Language) -> Iterator[Word]:
    for action in parser._actions:
        if action.option_strings and action.help != SUPPRESS:
            yield _option(action, language)


def _option(action: Action, language: Language) -> Word:
    choices = tuple(str(one) for one in action.choices or ())
    return Word(action.option_strings[-1], help_in(language, action.help or ""), choices, action.nargs != 0)


def bash(commands: list[CommandWords]) -> str:
    """Return a completion script for bash."""
    cases = []
    for one in commands:
        words = " ".join(word.text for word in (*one.actions, *one.choices, *one.options))
        cases.append(f"    {one.name}) words='{words}' ;;")
        cases += [
            f"    {one.name}:{word.text}) values='{' '.join(word.choices)}' ;;" for word in one.options if word.choices
        ]
    options = "\n".join(line for line in cases if ":" in line.partition(")")[0])
    names = "\n".join(line for line in cases if ":" not in line.partition(")")[0])
    return f"""# cardio: completion for bash; cardio completion bash > ~/.local/share/bash-completion/completions/cardio
_cardio() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words='' values=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='{" ".join(one.name for one in commands)} --help --version'
  else
    case ${{COMP_WORDS[1]}}:$before in
{options}
    esac
    case ${{COMP_WORDS[1]}} in
{names}
    esac
    [ -n "$values" ] && words=$values
  fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o bashdefault -o default -F _cardio cardio
"""


def zsh(commands: list[CommandWords]) -> str:
    """Return a completion script for zsh."""

    def described(words: tuple[Word, ...]) -> str:
        return " ".join(f"'{one.text}:{_plain(one.help)}'" for one in words)

    named = " ".join(f"'{one.name}:{_plain(one.help)}'" for one in commands)
    cases = "\n".join(
        f"    {one.name}) words_=({described((*one.actions, *one.choices, *one.options))}) ;;" for one in commands
    )
    return f"""#compdef cardio
# cardio: completion for zsh; cardio completion zsh > a folder of $fpath, as _cardio
_cardio() {{
  local -a words_
  if (( CURRENT == 2 )); then
    words_=({named})
    _describe 'cardio' words_
    return
  fi
  case $words[2] in
{cases}
  esac
  _describe 'cardio' words_
  _files
}}
compdef _cardio cardio
"""


def fish(commands: list[CommandWords]) -> str:
    """Return a completion script for fish."""
    lines = ["# cardio: completion for fish; cardio completion fish > ~/.config/fish/completions/cardio.fish"]
    for one in commands:
        lines.append(f"complete -c cardio -n __fish_use_subcommand -f -a {one.name} -d '{_plain(one.help)}'")
        seen = f"-n '__fish_seen_subcommand_from {one.name}'"
        for word in (*one.actions, *one.choices):
            lines.append(f"complete -c cardio {seen} -a {word.text} -d '{_plain(word.help)}'")
        for word in one.options:
            name = f"-l {word.text.removeprefix('--')}" if word.text.startswith("--") else f"-s {word.text[1:]}"
            values = f" -x -a '{' '.join(word.choices)}'" if word.choices else " -r" if word.takes_value else ""
            lines.append(f"complete -c cardio {seen} {name}{values} -d '{_plain(word.help)}'")
    return "\n".join(lines) + "\n"


def manual_page(parser: ArgumentParser, language: Language, version: str) -> str:
    """Return the manual page in roff (man(7)). It has no date, so that the same program has the same page."""
    chinese = language is Language.CHINESE
    heads = {
        "NAME": "名称", "SYNOPSIS": "用法", "DESCRIPTION": "说明", "COMMANDS": "命令", "EXIT STATUS": "退出状态",
        "EXAMPLES": "示例", "FILES": "文件", "SEE ALSO": "参见",
    }  # fmt: skip

    def head(name: str) -> str:
        return f".SH {heads[name] if chinese else name}"

    epilog = help_in(language, parser.epilog or "")
    examples, _, statuses = epilog.partition("\n\n")
    lines = [f'.TH CARDIO 1 "" "cardio {version}"', ".ad l", head("NAME")]
    lines += ["cardio \\- " + _roff(help_in(language, parser.description or "")), head("SYNOPSIS")]
    lines += [".B cardio\n.I COMMAND\n.RI [ options ]", head("COMMANDS")]
    for one in command_words(parser, language):
        lines += [".TP", f".B {one.name}", _roff(one.help)]
        for word in (*one.actions, *one.options):
            if word.text not in ("--help", "--json", "--lang"):
                lines += [".RS", ".TP", f".B {_roff(word.text)}", _roff(word.help or word.text), ".RE"]
    for name, text in (("EXAMPLES", examples), ("EXIT STATUS", statuses)):
        lines += [head(name), ".nf", _roff("\n".join(text.splitlines()[1:])), ".fi"]
    lines += [head("SEE ALSO"), "/usr/share/doc/cardio/"]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Replace the characters that have a meaning in shells."""
    return re.sub(r"[':\\\[\]]", " ", text)


def _roff(text: str) -> str:
    escaped = CHINESE.sub(r"\g<0>\\:", text.replace("\\", "\\e").replace("-", "\\-"))  # lines may break there
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.split("\n"))
