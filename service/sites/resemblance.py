"""Warnings about a site whose name resembles an admitted one, and about the name itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from service.sites.confusables import skeleton
from service.sites.labels import mixed_scripts, readable
from service.sites.similarity import are_close, is_contained, is_nearly_contained, read_loosely, squeezed
from service.sites.site import Site

Likeness = Literal["confusable", "contains", "other-suffix", "close", "same-name", "same-site"]
RemarkCode = Literal["confusable", "contains", "other-suffix", "close", "same-name", "same-site",
                     "mixed-scripts", "foreign-letters", "plain-http"]  # fmt: skip
_ORDER: tuple[Likeness, ...] = ("confusable", "contains", "other-suffix", "close", "same-name", "same-site")
_MOST_LIKENESSES = 3
_SHORTEST_NAME = 2
"""The shortest name that is compared: a name of one character identifies no site."""
_REMEMBERED = 16_384
"""The size of the cache in pairs: all listed requests, with as many sites as can be admitted."""
_THIS_COMPUTER = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class KnownSite:
    """An origin that a person or the administrator has admitted, and its name."""

    origin: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence about a site, in both languages."""

    code: RemarkCode
    words: str
    words_en: str
    resembles: str | None = None
    """The admitted origin that this one resembles and is not."""


def remarks(site: Site, name: str, known: Iterable[KnownSite]) -> tuple[Remark, ...]:
    """Return the remarks that a person should know before the site is admitted, the gravest first.

    Args:
        site: the site.
        name: the name that the site gives itself.
        known: the origins that were admitted.
    """
    found = [
        (likeness, one)
        for one in dict.fromkeys(known)
        if one.origin != site.origin and (likeness := likeness_to(site, name, one)) is not None
    ]
    found.sort(key=lambda pair: _ORDER.index(pair[0]))
    told = [_likeness_remark(likeness, site, one) for likeness, one in found[:_MOST_LIKENESSES]]
    return (*told, *_own_remarks(site))


@lru_cache(maxsize=_REMEMBERED)
def likeness_to(site: Site, name: str, known: KnownSite) -> Likeness | None:
    """Return the way in which a site can be taken for a known one; None if it cannot."""
    other = Site.of(known.origin)
    if site.place == other.place:
        return "same-site"
    return _likeness_of_hosts(site, other) or ("same-name" if _names_it(name, known, other) else None)


def _likeness_of_hosts(site: Site, other: Site) -> Likeness | None:
    host, label = squeezed(site.readable_host), skeleton(readable(site.label))
    its_label = skeleton(readable(other.label))
    if skeleton(site.readable_host) == skeleton(other.readable_host):
        return "confusable"
    if _is_whole(other):
        return _likeness_to_whole(site, other)
    if skeleton(readable(site.registrable)) == skeleton(readable(other.registrable)):
        return "confusable"
    if site.kind == "domain" and label == its_label:
        return "other-suffix" if site.label == other.label else "confusable"
    needles = {squeezed(one) for one in (other.readable_host, readable(other.registrable), readable(other.label))}
    if any(is_contained(one, host) for one in needles):
        return "contains"
    labels = skeleton(site.readable_host).split(".")
    # A label so short stands elsewhere by chance, but not beside the same suffix.
    if site.kind == "domain" and its_label in labels[:-1] and len(its_label) > 2:
        return "contains"
    # The public suffix is left out, because names of one registry are alike anyway. Labels are compared as they look
    # and as they are written: m looks like two letters.
    pairs = [(one, its_label) for one in labels]
    pairs += [(one, readable(other.label)) for one in site.readable_host.split(".")]
    near = any(are_close(one, its) for one, its in pairs) or is_nearly_contained(squeezed(readable(other.label)), host)
    return "close" if near or _is_read_as(readable(other.label), site.readable_host) else None


def _is_read_as(label: str, host: str) -> bool:
    """Return True if a label, with digits read as letters, is one of a host's labels or stands in the host."""
    wanted = read_loosely(label)
    return wanted in map(read_loosely, host.split(".")[:-1]) or is_contained(wanted, read_loosely(host))


def _is_whole(site: Site) -> bool:
    """Return True if a host counts as a whole: an address, or a name of the local network."""
    return site.kind in ("address", "host", "program")


def _likeness_to_whole(site: Site, other: Site) -> Likeness | None:
    bounded = f".{site.host}.".replace("-", ".")
    name = other.host.strip("[]")
    if len(name) > 3 and f".{name.replace('-', '.')}." in bounded:
        return "contains"
    if site.kind == other.kind and are_close(skeleton(site.host), skeleton(other.host)):
        return "close"
    if site.kind == other.kind == "host" and read_loosely(site.host) == read_loosely(other.host):
        return "close"
    return None


def _names_it(name: str, known: KnownSite, other: Site) -> bool:
    """Return True if the site gives itself another site's name or address."""
    own, its = squeezed("".join(name.split())), squeezed("".join(known.name.split()))
    if len(its) >= _SHORTEST_NAME and (its in own or (its.find(own) >= 0 and 2 * len(own) >= len(its))):
        return True
    if are_close(own, its):
        return True
    return is_contained(squeezed(other.readable_host), own)


def _likeness_remark(likeness: Likeness, site: Site, known: KnownSite) -> Remark:
    its = f"{known.origin}（{known.name}）" if known.name else known.origin
    its_en = f"{known.origin} ({known.name})" if known.name else known.origin
    place = site.place
    chinese, english = {
        "confusable": (
            f"网址看上去与已授权的 {its} 一样，其实是另一个网站。",
            f"It looks the same as {its_en}, which has been let in, and is another site.",
        ),
        "contains": (
            f"网址中含有已授权的 {its} 的名称，但它是 {place} 的网页，是另一个网站。",
            f"Its address has the name of {its_en} in it, which has been let in, but it is another site: a page of "
            f"{place}.",
        ),
        "other-suffix": (
            f"网址与已授权的 {its} 只有后缀不同，是另一个网站。",
            f"Only the ending differs from {its_en}, which has been let in: it is another site.",
        ),
        "close": (
            f"网址与已授权的 {its} 很像，但不相同，是另一个网站。",
            f"Its address is much like that of {its_en}, which has been let in, and is another site.",
        ),
        "same-name": (
            f"它自称的名称与已授权的 {its} 相同或相近，但它是另一个网站 {place}。",
            f"It calls itself much as {its_en} is called, which has been let in, but it is another site, {place}.",
        ),
        "same-site": (
            f"与已授权的 {its} 同属 {place}，但不是同一个网址。",
            f"It is of {place} as {its_en} is, which has been let in, but it is not the same address.",
        ),
    }[likeness]
    return Remark(likeness, chinese, english, known.origin)


def _own_remarks(site: Site) -> Iterable[Remark]:
    """Yield the remarks about an origin alone."""
    host = site.readable_host
    seen = skeleton(host)
    this_computer = [name for name in _THIS_COMPUTER if not site.is_loopback and skeleton(name) in seen]
    if this_computer:
        yield Remark(
            "contains",
            f"网址中含有 {this_computer[0]}，但它不是本机，是 {site.place} 的网页。",
            f"Its address has {this_computer[0]} in it, but it is not this computer: it is a page of {site.place}.",
        )
    scripts = mixed_scripts(site.host)
    if scripts:
        chinese = "、".join(SCRIPT_NAMES.get(one, one) for one in scripts)
        yield Remark(
            "mixed-scripts",
            f"网址混用了多种文字（{chinese}），这是假冒网址常用的手法。",
            f"Its address mixes letters of several scripts ({', '.join(one.title() for one in scripts)}), as forged "
            "addresses do.",
        )
    elif _passes_for_latin(host):
        yield Remark(
            "foreign-letters",
            "网址中有形似英文字母、其实不是英文字母的字符，这是假冒网址常用的手法。",
            "Its address has letters that look like Latin ones and are not, as forged addresses do.",
        )
    if site.is_plain_http:
        yield Remark(
            "plain-http",
            "它是 http 网页，不是 https：途经的其他计算机可以看到并改动它的内容。",
            "It is an http page, not https: other computers on the way can see and change what it does.",
        )


def _passes_for_latin(host: str) -> bool:
    return any(not label.isascii() and skeleton(label).isascii() for label in host.split("."))


SCRIPT_NAMES = {
    "LATIN": "拉丁字母", "HAN": "汉字", "CYRILLIC": "西里尔字母", "GREEK": "希腊字母", "ARMENIAN": "亚美尼亚字母",
    "HEBREW": "希伯来字母", "ARABIC": "阿拉伯字母", "HIRAGANA": "平假名", "KATAKANA": "片假名", "HANGUL": "谚文",
    "BOPOMOFO": "注音符号", "THAI": "泰文", "CHEROKEE": "切罗基字母", "GEORGIAN": "格鲁吉亚字母",
    "DEVANAGARI": "天城文",
}  # fmt: skip
