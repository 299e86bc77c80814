"""``cardio pin``: the holder's PIN."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from cardio.cli.card_options import add_card_arguments, work_on_card
from cardio.cli.command import DONE, Command
from cardio.cli.key_options import credentials_of, entered_new_pin
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.card.social_security_card import SocialSecurityCard
    from cardio.security.pin.count import PinCount

_ACTIONS = {
    "status": "剩余次数 / how many tries are left",
    "verify": "验证密码 / have the card check the PIN",
    "change": "修改密码 / replace the PIN by another",
    "unblock": "解锁，密码不变（需要 PUK 密钥） / restore the tries; takes the key PUK",
    "reload": "重置为新密码（需要 PUK 密钥） / set a new PIN; takes the key PUK",
}
_DONE_WORDS = {
    "verify": ("密码正确", "The PIN is right"),
    "change": ("密码已修改", "The PIN has been changed"),
    "unblock": ("密码已解锁", "The PIN has been unblocked"),
    "reload": ("密码已重置", "The PIN has been reset"),
}


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in _ACTIONS.items():
        action = actions.add_parser(name, help=about, description=about)
        add_card_arguments(action, pin=False)


def _run(options: Namespace, output: Output) -> int:
    credentials = credentials_of(options, wants_pin=options.action in ("verify", "change"))
    count = work_on_card(options, output, _work(options), credentials=credentials, repeat=options.action == "status")
    if output.as_json:
        output.document({"action": options.action, "tries_left": count.left, "count": count.source})
    elif options.action == "status":
        output.text(*_count_text(count))
    else:
        zh, en = _DONE_WORDS[options.action]
        output.text(zh, en)
    return DONE


def _work(options: Namespace) -> Callable[[SocialSecurityCard], PinCount]:
    """Return the work on the card; it returns the tries that are left afterwards, as far as they are known."""
    on_pad = options.action == "change" and options.pin_pad is not None
    new = entered_new_pin(options) if options.action in ("change", "reload") and not on_pad else None

    def work(card: SocialSecurityCard) -> PinCount:
        match options.action:
            case "verify":
                card.verify_pin()
            case "change" if on_pad:
                card.change_pin_on_pad()
            case "change" if new is not None:
                card.change_pin(new)
            case "unblock":
                card.unblock_pin()
            case "reload" if new is not None:
                card.reload_pin(new)
        return card.pin_count()

    return work


def _count_text(count: PinCount) -> tuple[str, str]:
    if count.left is None:
        return "剩余次数未知", "how many tries are left is not known"
    zh, en = (
        ("密码已锁定", "the PIN is blocked")
        if count.left == 0
        else (f"还剩 {count.left} 次", f"tries left: {count.left}")
    )
    if count.source == "remembered":
        zh, en = f"{zh}（卡片上次所告；再询问可能消耗次数，未询问）", f"{en} (as the card said last; it was not asked)"
    return zh, en


PIN = Command(
    name="pin",
    help="持卡人密码：查询、验证、修改、解锁、重置 / the holder's PIN: status, verify, change, unblock, reload",
    examples=(
        "  cardio pin status\n"
        "  cardio pin verify                                  提示输入，不回显 / asks, without echo\n"
        "  cardio pin verify --pin-pad                        在读卡器键盘上输入 / on the reader's key pad\n"
        "  cardio pin change\n"
        "  cardio pin unblock --sam psam:1\n"
        "  echo 123456 | cardio pin verify --pin-stdin --reader sim:adult"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
