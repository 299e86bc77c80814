"""A site that asks to be let in, in words for the console: whose it is first, then the rest, then what to heed."""

from __future__ import annotations

from collections.abc import Iterable

from service.sites.labels import is_right_to_left
from service.sites.site import Site

SCOPE_WORDS = {
    "pin": "使用持卡人密码，输错几次卡就会被锁定 / use the holder's PIN: a few wrong ones block the card",
    "write": "修改卡内数据，无法撤回 / change what is on the card, which cannot be taken back",
    "settle": "从卡上扣款 / take money from the card",
}
"""What a scope lets a page do that can harm."""


def whose(origin: str) -> str:
    """The part of an origin that tells whose site it is; in its own letters too, where a terminal keeps their order."""
    site = Site.of(origin)
    in_letters = site.readable_host
    if in_letters == site.host or is_right_to_left(in_letters):
        return site.place
    return f"{site.place} ({in_letters})"


def site_lines(origin: str, name: str, remarks: Iterable[tuple[str, str]]) -> list[str]:
    """Describe a site.

    Args:
        name: what it calls itself.
        remarks: sentences in Chinese and in English.
    """
    lines = [f"网站 site:     {whose(origin)}", f"网址 address:  {origin}"]
    if name:
        lines.append(f"网站自称 it calls itself: {name}")
    lines += [f"注意 heed: {chinese}\n           {english}" for chinese, english in remarks]
    return lines
