"""``cardio completion``: prints a script with which a shell completes commands and options."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

_SHELLS = ("bash", "zsh", "fish", "man")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "shell",
        choices=_SHELLS,
        metavar="SHELL",
        help="bash、zsh、fish，或 man（手册页） / bash, zsh, fish, or man for the manual page",
    )


def _run(options: Namespace, output: Output) -> int:
    from importlib.metadata import version

    from cardio.cli import completion
    from cardio.cli.language import Language
    from cardio.cli.main import build_parser

    # A script for a shell has one language; Chinese where the command speaks both.
    language = Language.ENGLISH if output.language is Language.ENGLISH else Language.CHINESE
    parser = build_parser()
    if options.shell == "man":
        text = completion.manual_page(parser, language, version("cardio"))
    else:
        make = {"bash": completion.bash, "zsh": completion.zsh, "fish": completion.fish}[options.shell]
        text = make(completion.common_words(parser, language), completion.command_words(parser, language))
    if output.as_json:
        output.document({"shell": options.shell, "script": text})
    else:
        output.text(text.rstrip("\n"))
    return DONE


COMPLETION = Command(
    name="completion",
    help="命令补全脚本和手册页 / completion for shells, and the manual page",
    examples=(
        "  cardio completion bash > ~/.local/share/bash-completion/completions/cardio\n"
        "  cardio completion fish > ~/.config/fish/completions/cardio.fish\n"
        "  cardio completion man --lang zh | man -l -          手册页 / the manual page"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
