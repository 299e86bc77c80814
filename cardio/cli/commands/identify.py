"""``cardio identify``: checks that a card is good and that its bearer is its holder."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.card_options import add_card_arguments, work_on_card
from cardio.cli.colour import Colour
from cardio.cli.command import DONE, Command
from cardio.cli.key_options import credentials_of
from cardio.cli.language import Language
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.identity.model import Verdict

_REFUSED = 1
_MARKS = {"passed": "✓", "failed": "✗", "not-done": "–"}
_WEIGHTS = {"required": ("必须", "required"), "optional": ("可缺", "optional"), "ignored": ("不看", "ignored")}
_OUTCOMES = (("通过", "passed"), ("不通过", "failed"), ("未核对", "not done"))


def _add_arguments(parser: ArgumentParser) -> None:
    add_card_arguments(parser)
    parser.add_argument("--policy", metavar="FILE", type=Path, help="本单位的核验策略 / the site's policy")
    parser.add_argument("--loss-list", metavar="FILE", type=Path, help="挂失名单 / the list of lost cards")


def _run(options: Namespace, output: Output) -> int:
    from datetime import UTC, datetime

    from cardio.identity.identify import identify
    from cardio.identity.loss_list import LossList
    from cardio.identity.model import Decision
    from cardio.identity.policy import Policy, default_policy

    policy = default_policy() if options.policy is None else Policy.load(options.policy)
    loss_list = None if options.loss_list is None else LossList.load(options.loss_list)
    credentials = credentials_of(options)
    now = datetime.now(UTC).astimezone()
    verdict = work_on_card(
        options,
        output,
        lambda card: identify(card, policy, loss_list, now),
        credentials=credentials,
        repeat=credentials is None or credentials.pin is None,
    )
    if output.as_json:
        output.document(verdict.model_dump(mode="json"))
    else:
        _print(verdict, output)
    return DONE if verdict.verdict is Decision.VERIFIED else _REFUSED


def _print(verdict: Verdict, output: Output) -> None:
    colour = {"verified": Colour.GOOD, "refused": Colour.BAD}.get(verdict.verdict)
    number = output.bracketed(verdict.card.identification_code or "—")
    output.text(output.words(verdict.title, verdict.title_en) + number, colour=colour)
    rows = [
        (
            _MARKS[check.outcome],
            output.label(check.title, check.title_en),
            _WEIGHTS[check.weight][output.language is Language.ENGLISH],
            *output.columns(check.detail, check.detail_en),
        )
        for check in verdict.checks
    ]
    output.table(rows)
    passed, failed, not_done = (output.label(*one) for one in _OUTCOMES)
    output.text(f"✓ {passed}  ✗ {failed}  – {not_done}")


IDENTIFY = Command(
    name="identify",
    help="核验卡片真伪与持卡人 / is the card good, and is this its holder",
    examples=(
        "  cardio identify --sam psam:1\n"
        "  cardio identify --sam psam:1 --pin                       持卡人输入密码 / the holder enters the PIN\n"
        "  cardio identify --policy policy.toml --loss-list lost.txt --json"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
