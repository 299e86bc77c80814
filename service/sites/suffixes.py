"""The Public Suffix List: the suffixes under which any person can register a name (publicsuffix.org).

The list comes with the package `publicsuffixlist`; nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from publicsuffixlist import PublicSuffixList

_LIST = "public_suffix_list.dat"


def public_suffix(host: str) -> str | None:
    """Return the part of a name that belongs to a registry or a host of sites: ``com.cn``, ``github.io``.

    Args:
        host: a name in ASCII, in lower case.

    Returns:
        None if the list has no rule for it, as for names of a local network.
    """
    return _suffixes().publicsuffix(host, accept_unknown=False)


def registrable_domain(host: str) -> str | None:
    """Return the part of a name that has one owner: ``example-hospital.cn`` of ``his.example-hospital.cn``.

    Returns:
        The last two labels if the list has no rule for the name. None if the whole name is a public suffix, or has only
            one label.
    """
    return _suffixes().privatesuffix(host)


def load_suffixes() -> None:
    """Read the list now: it takes a tenth of a second, which no request should wait for."""
    _suffixes()


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(_rules(), accept_encoded_idn=False)


def _rules() -> Iterator[str]:
    """Yield the list's rules. A rule in other letters comes also in the ASCII form, in which browsers send a name.

    The package would encode each of ten thousand rules, most of them ASCII: that takes 0.3 s at every start.
    """
    for line in (files("publicsuffixlist") / _LIST).read_text(encoding="utf-8").splitlines():
        rule = line.split(" ")[0].strip()
        if not rule or rule.startswith("//"):
            continue
        yield rule
        if not rule.isascii():
            exception = "!" if rule.startswith("!") else ""
            yield exception + rule.removeprefix("!").encode("idna").decode("ascii")
