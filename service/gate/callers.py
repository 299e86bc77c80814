"""The test that tells a program's WebSocket handshake from a browser's.

Browsers write the Origin of a WebSocket themselves, and no page can leave it out or change it (RFC 6455 §10.2, Fetch
§4.4). Programs' libraries write any Origin they like: Python's websocket-client writes the address that it connects to,
Go's golang.org/x/net/websocket writes what the programmer names, mostly ``http://localhost/``. Most libraries write
none.
"""

from __future__ import annotations

from service.gate.origin_advice import OriginFormError, as_origin
from service.gate.page_addresses import LOOPBACK_NAMES

_OF_BROWSERS = frozenset({b"accept-language", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"})
"""The headers that browsers send with every handshake; a page cannot suppress them."""
_BROWSERS_NAME = b"mozilla/"
PROGRAMS_NOT_LET_IN = (
    "本机程序未获允许：请在设置中启用 [dialects] programs = true（程序须由同一用户运行），"
    "或运行 cardio pair add 名称 --scopes basic,files 并把令牌写进连接地址",
    "programs are not let in: set [dialects] programs = true (the program must be the same user's), or run cardio pair "
    "add NAME --scopes basic,files and put the token in the address",
)
OF_OTHER_USERS = (
    "该程序不是由运行本服务的用户运行的，或系统未告知：请用同一用户运行，"
    "或运行 cardio pair add 名称 --scopes basic,files 并把令牌写进连接地址",
    "the program is not run by the user who runs the bridge, or the system does not tell: run it as that user, or run "
    "cardio pair add NAME --scopes basic,files and put the token in the address",
)
OF_ANOTHER_USER = (
    "该连接来自本机的另一用户或另一台计算机，或系统未告知其用户：请用运行本服务的用户打开浏览器；"
    '多个用户共用一个服务时，请管理员在设置中写入 [access] groups = ["用户组"]',
    "the connection is another user's or another machine's, or the system does not tell: open the browser as the user "
    'who runs the bridge; where users share one, the administrator sets [access] groups = ["GROUP"]',
)


def may_be_a_program(origin: str | None, headers: list[tuple[bytes, bytes]], port: int) -> bool:
    """Return True if the handshake can come from a program on this machine, and cannot come from a page in a browser.

    Args:
        origin: the value of the Origin header; None if there is none.
        headers: names in lower case, and values.
        port: the port that the caller connects to.
    """
    if not origin:
        return True
    if any(name in _OF_BROWSERS or _is_browser(name, value) for name, value in headers):
        return False
    try:
        written = as_origin(origin)
    except OriginFormError:
        return False
    places = [place for host in LOOPBACK_NAMES for place in (host, f"{host}:{port}")]
    return written in {f"{scheme}://{place}" for scheme in ("http", "https") for place in places}


def _is_browser(name: bytes, value: bytes) -> bool:
    return name == b"user-agent" and value.lower().startswith(_BROWSERS_NAME)
