"""Origins as people write them, and the advice for origins that are not admitted."""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from service.gate.origin_syntax import DEFAULT_PORTS, NULL_ORIGINS, is_origin

_LONGEST_SHOWN = 80
_START_SHOWN = 24
_EXAMPLE = "https://his.example-hospital.cn"


class OriginFormError(ValueError):
    """The text is no origin; the message says what to write, in both languages."""

    def __init__(self, chinese: str, english: str) -> None:
        super().__init__(english)
        self.chinese, self.english = chinese, english


def as_origin(text: str) -> str:
    """Return an origin as browsers send it, from the text that an administrator wrote.

    Capitals, the scheme's default port, a slash at the end, full-width characters and a Chinese host name are
    corrected.

    Raises:
        OriginFormError: the text is no origin; the message says what to write.
    """
    written = unicodedata.normalize("NFKC", text).strip()
    if written.lower() == "null" or written.lower().startswith("file:"):
        raise OriginFormError(*_by_token(shown_origin(text)))
    scheme, separator, rest = written.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise _write(text, f"https://{written.lower()}")
    authority, _, path = rest.partition("/")
    host, port = _split(authority)
    tidy = f"{scheme}://{_host(host, scheme)}"
    if port and port != DEFAULT_PORTS.get(scheme):
        tidy += f":{port}"
    if scheme in ("ws", "wss"):
        raise _write(text, tidy.replace("ws", "http", 1))
    if path.strip("/") or not is_origin(tidy):
        raise _write(text, re.sub(r"(?<=//)[^@/]*@|[?#].*", "", tidy))
    return tidy


def _split(authority: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":")
    if not colon or "]" in port:
        return authority, ""
    return host, port.lstrip("0") or port


def _host(host: str, scheme: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            return host
    if scheme in DEFAULT_PORTS and not host.isascii():
        try:
            return host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return host
    return host.lower()


def _write(text: str, suggestion: str) -> OriginFormError:
    shown, meant = shown_origin(text), suggestion if is_origin(suggestion) else _EXAMPLE
    return OriginFormError(
        f"“{shown}”不是来源：只写协议、主机和端口，后面不带任何内容，如 {meant}",
        f"{shown!r} is no origin: write scheme, host and port and nothing after them, as {meant}",
    )


def advice(origin: str) -> tuple[str, str]:
    """Return the advice that gets a caller with this Origin admitted, in Chinese and English. Any text is accepted."""
    shown = shown_origin(origin)
    if is_origin(origin):
        line = f'[[trusted_origins]] origin = "{shown}"'
        return (
            f"来源 {shown} 未获授权：请在本机的配对页面（/pair）允许它，或在设置文件中写入 {line}",
            f"the origin {shown} is not let in: allow it on /pair, or write into the settings: {line}",
        )
    if origin in NULL_ORIGINS:
        return _by_token(shown)
    return (
        f"来源“{shown}”不是浏览器的写法；浏览器写作 https://主机 或 https://主机:端口，后面不带任何内容",
        f"{shown!r} is no origin as browsers write it: https://host or https://host:port, nothing after it",
    )


def _by_token(shown: str) -> tuple[str, str]:
    return (
        f"来源 {shown} 任何网页都能带上，不能登记：请运行 cardio pair add 名称 --scopes basic,files，"
        "并把令牌写进该程序的连接地址：ws://127.0.0.1:端口/令牌",
        f"any page can have the origin {shown}, so it cannot be listed: run cardio pair add NAME --scopes basic,files, "
        "and put the token in the program's address: ws://127.0.0.1:PORT/TOKEN",
    )


def shown_origin(origin: str) -> str:
    """Return an origin that a stranger sent in a form that is safe to show and to log.

    Its end names the site and is never cut.
    """
    if len(origin) > _LONGEST_SHOWN and not is_origin(origin):
        origin = f"{origin[:_START_SHOWN]}…{origin[_START_SHOWN + 1 - _LONGEST_SHOWN :]}"
    return "".join(one if one.isprintable() and one not in "\"'<>" else "?" for one in origin)
