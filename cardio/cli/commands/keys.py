"""``cardio keys``: shows the keys that cards have refused, and takes a person's permission to use them again."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import datetime
from typing import TYPE_CHECKING

from cardio.cli.card_options import add_card_arguments, work_on_card
from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.card.social_security_card import SocialSecurityCard
    from cardio.security.key_memory import KeyMemory, SamAtFault

_ACTIONS = {
    "status": "哪些密钥设备已停止使用 / which key devices are stopped, since card after card refused them",
    "resume": "密钥无误，恢复使用 / the keys are right: let the stopped ones go on",
    "forget": "发卡机构已恢复此卡的密钥 / the issuer has restored the keys of the card in the reader",
}


def _add_arguments(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, about in _ACTIONS.items():
        action = actions.add_parser(name, help=about, description=about)
        if name == "forget":
            add_card_arguments(action, pin=False)


def _run(options: Namespace, output: Output) -> int:
    match options.action:
        case "resume":
            return _resume(output)
        case "forget":
            return _forget(options, output)
    return _status(output)


def _memories() -> list[KeyMemory]:
    """Return the existing memories of real cards and of software cards."""
    from cardio.filesystem.capabilities import CapabilityCache
    from cardio.security.key_memory import KeyMemory

    both = [KeyMemory.of_store(CapabilityCache.in_cache(simulated=one), simulated=one) for one in (False, True)]
    return [memory for memory in both if memory is not None and memory.exists]


def _status(output: Output) -> int:
    from cardio.security.errors import SamRefusedError

    stopped = [one for memory in _memories() for one in memory.stopped_sams()]
    if output.as_json:
        output.document({"stopped": [_document(one) for one in stopped]})
    elif not stopped:
        output.text("没有停止使用的密钥设备", "no key device is stopped")
    for one in [] if output.as_json else stopped:
        since = datetime.fromtimestamp(one.since).isoformat(sep=" ", timespec="minutes")
        what = f"{one.place}  {one.key}"
        said = output.words(f"{one.cards} 张卡拒绝，{since} 起", f"{one.cards} cards refused it, since {since}")
        output.text(f"{what}{output.colon}{said}")
    if stopped and not output.as_json:
        output.note(SamRefusedError.remedy, SamRefusedError.remedy_en)
    return SamRefusedError.exit_status if stopped else DONE


def _document(one: SamAtFault) -> dict[str, object]:
    return {
        "place": one.place,
        "key": one.key,
        "cards": one.cards,
        "proved": one.proved,
        "since": datetime.fromtimestamp(one.since).astimezone().isoformat(timespec="seconds"),
    }


def _resume(output: Output) -> int:
    memories = _memories()
    stopped = [_document(one) for memory in memories for one in memory.stopped_sams()]
    for memory in memories:
        memory.resume()
    if output.as_json:
        output.document({"resumed": stopped})
    elif stopped:
        output.text("已恢复；已拒绝过密钥的卡不会再试", "it goes on; cards that have refused a key are not asked again")
    else:
        output.text("没有停止使用的密钥设备", "no key device was stopped")
    return DONE


def _forget(options: Namespace, output: Output) -> int:
    from cardio.security.credentials import Credentials

    def forget(card: SocialSecurityCard) -> int:
        return card.forget_refused_keys()

    known = work_on_card(options, output, forget, credentials=Credentials())
    if output.as_json:
        output.document({"forgotten": known})
    elif known:
        output.text(f"已清除此卡 {known} 个密钥的记录", f"what was known of {known} keys of this card is forgotten")
    else:
        output.text("没有此卡的记录", "nothing was known of this card")
    return DONE


KEYS = Command(
    name="keys",
    help="卡片拒绝过的密钥 / keys that cards have refused",
    examples="  cardio keys status\n  cardio keys resume\n  cardio keys forget --reader 0",
    add_arguments=_add_arguments,
    run=_run,
)
