"""The description of a site that asks to be admitted, for the console.

First comes its owner, then the rest, then the remarks.
"""

from __future__ import annotations

from collections.abc import Iterable

from cardio.cli.output import Output
from service.sites.labels import is_right_to_left
from service.sites.site import Site

SCOPE_WORDS = {
    "pin": "使用持卡人密码，输错几次卡就会被锁定 / use the holder's PIN: a few wrong ones block the card",
    "write": "修改卡内数据，无法撤回 / change what is on the card, which cannot be taken back",
    "settle": "从卡上扣款 / take money from the card",
}
"""The harm that a page can do with a scope."""


def site_part(origin: str) -> str:
    """Return the part of an origin that identifies the site.

    It is shown in its own letters too if a terminal keeps their order.
    """
    site = Site.of(origin)
    in_letters = site.readable_host
    if in_letters == site.host or is_right_to_left(in_letters):
        return site.place
    return f"{site.place} ({in_letters})"


def site_lines(origin: str, name: str, remarks: Iterable[tuple[str, str]], output: Output) -> list[str]:
    """Return the lines that describe a site.

    Args:
        origin: the site's origin.
        name: the name that the site gives itself.
        remarks: sentences in Chinese and in English.
        output: knows the language of the console.
    """
    lines = [output.named("网站", "site", site_part(origin)), output.named("网址", "address", origin)]
    if name:
        lines.append(output.named("网站自称", "it calls itself", name))
    lines += [output.named("注意", "heed", output.words(chinese, english)) for chinese, english in remarks]
    return lines
