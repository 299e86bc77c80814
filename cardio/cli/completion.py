"""Completion scripts for shells, and the manual page, made from the command's parser."""

from __future__ import annotations

import re
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cardio.cli.language import CHINESE, LANGUAGE_OPTION, Language, help_in


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


def common_words(parser: ArgumentParser, language: Language) -> CommandWords:
    """Return the words before a command: the options of the parser itself, and the names of the commands."""
    names = tuple(Word(name, help_in(language, said)) for name, (said, _) in _commands(parser).items())
    return CommandWords("", "", names, tuple(_options(parser, language)))


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


def bash(common: CommandWords, commands: list[CommandWords]) -> str:
    """Return a completion script for bash. It breaks words at ``=`` too."""
    cases = []
    for one in (common, *commands):
        words = " ".join(word.text for word in (*one.actions, *one.choices, *one.options))
        cases.append(f"    {_case(one)}) words='{words}' ;;")
        cases += [
            f"    {one.name}:{word.text}) values='{' '.join(word.choices)}' ;;" for word in one.options if word.choices
        ]
    options = "\n".join(line for line in cases if ":" in line.partition(")")[0])
    names = "\n".join(line for line in cases if ":" not in line.partition(")")[0])
    return f"""# cardio: completion for bash; cardio completion bash > ~/.local/share/bash-completion/completions/cardio
_cardio() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words='' values='' command='' at
  [ "$word" = = ] && word=''
  [ "$before" = = ] && before=${{COMP_WORDS[COMP_CWORD-2]}}
  for ((at = 1; at < COMP_CWORD; at++)); do
    case ${{COMP_WORDS[at]}} in
      {LANGUAGE_OPTION}) [ "${{COMP_WORDS[at+1]}}" = = ] && at=$((at + 2)) || at=$((at + 1)) ;;
      -*) ;;
      *) command=${{COMP_WORDS[at]}}; break ;;
    esac
  done
  case $command:$before in
{options}
  esac
  case $command in
{names}
  esac
  [ -n "$values" ] && words=$values
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -o bashdefault -o default -F _cardio cardio
"""


def zsh(common: CommandWords, commands: list[CommandWords]) -> str:
    """Return a completion script for zsh."""

    def described(words: tuple[Word, ...]) -> str:
        return " ".join(f"'{one.text}:{_plain(one.help)}'" for one in words)

    cases = "\n".join(
        f"    {_case(one)}) words_=({described((*one.actions, *one.choices, *one.options))}) ;;"
        for one in (common, *commands)
    )
    return f"""#compdef cardio
# cardio: completion for zsh; cardio completion zsh > a folder of $fpath, as _cardio
_cardio() {{
  local -a words_
  local command='' at
  for ((at = 2; at < CURRENT; at++)); do
    case $words[at] in
      {LANGUAGE_OPTION}) ((at++)) ;;
      -*) ;;
      *) command=$words[at]; break ;;
    esac
  done
  case $command in
{cases}
  esac
  _describe 'cardio' words_
  [[ -n $command ]] && _files
}}
compdef _cardio cardio
"""


def fish(common: CommandWords, commands: list[CommandWords]) -> str:
    """Return a completion script for fish."""
    lines = ["# cardio: completion for fish; cardio completion fish > ~/.config/fish/completions/cardio.fish"]
    # fish's own __fish_use_subcommand takes the language behind --lang for the command.
    none_yet = f"-n 'not __fish_seen_subcommand_from {' '.join(one.name for one in commands)}'"
    lines += [_of_fish(none_yet, word) for word in common.options]
    for one in commands:
        lines.append(f"complete -c cardio {none_yet} -f -a {one.name} -d '{_plain(one.help)}'")
        seen = f"-n '__fish_seen_subcommand_from {one.name}'"
        for word in (*one.actions, *one.choices):
            lines.append(f"complete -c cardio {seen} -a {word.text} -d '{_plain(word.help)}'")
        lines += [_of_fish(seen, word) for word in one.options]
    return "\n".join(lines) + "\n"


def _of_fish(where: str, word: Word) -> str:
    name = f"-l {word.text.removeprefix('--')}" if word.text.startswith("--") else f"-s {word.text[1:]}"
    values = f" -x -a '{' '.join(word.choices)}'" if word.choices else " -r" if word.takes_value else ""
    return f"complete -c cardio {where} {name}{values} -d '{_plain(word.help)}'"


def manual_page(parser: ArgumentParser, language: Language, version: str) -> str:
    """Return the manual page in roff (man(7)). It has no date, so that the same program has the same page."""
    chinese = language is Language.CHINESE
    heads = {
        "NAME": "名称", "SYNOPSIS": "用法", "OPTIONS": "选项", "COMMANDS": "命令", "EXIT STATUS": "退出状态",
        "EXAMPLES": "示例", "FILES": "文件", "SEE ALSO": "参见",
    }  # fmt: skip

    def head(name: str) -> str:
        return f".SH {heads[name] if chinese else name}"

    epilog = help_in(language, parser.epilog or "")
    examples, _, statuses = epilog.partition("\n\n")
    lines = [f'.TH CARDIO 1 "" "cardio {version}"', ".ad l", head("NAME")]
    lines += ["cardio \\- " + _roff(help_in(language, parser.description or "")), head("SYNOPSIS")]
    lines += [".B cardio\n.RI [ options ]\n.I COMMAND\n.RI [ options ]", head("OPTIONS")]
    common = common_words(parser, language).options
    for word in common:
        lines += [".TP", f".B {_roff(word.text)}", _roff(word.help)]
    lines.append(head("COMMANDS"))
    for one in command_words(parser, language):
        lines += [".TP", f".B {one.name}", _roff(one.help)]
        for word in (*one.actions, *one.options):
            if word not in common:
                lines += [".RS", ".TP", f".B {_roff(word.text)}", _roff(word.help or word.text), ".RE"]
    for name, text in (("EXAMPLES", examples), ("EXIT STATUS", statuses)):
        lines += [head(name), ".nf", _roff("\n".join(text.splitlines()[1:])), ".fi"]
    lines += [head("SEE ALSO"), "/usr/share/doc/cardio/"]
    return "\n".join(lines) + "\n"


def _case(one: CommandWords) -> str:
    return one.name or "''"


def _plain(text: str) -> str:
    """Replace the characters that have a meaning in shells."""
    return re.sub(r"[':\\\[\]]", " ", text)


def _roff(text: str) -> str:
    escaped = re.sub(CHINESE, r"\g<0>\\:", text.replace("\\", "\\e").replace("-", "\\-"))  # lines may break there
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.split("\n"))
