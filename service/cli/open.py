"""The command ``cardio open``: it opens one of the bridge's own pages in the user's browser, with nothing to type."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from service.settings import BridgeSettings

_PATHS = {"": "/", "counter": "/", "kiosk": "/kiosk", "developer": "/developer", "pair": "/pair"}
_IN_A_QUERY = "=&"


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "page",
        nargs="?",
        default="counter",
        metavar="PAGE",
        help="counter（默认）、kiosk、developer、pair；kiosk?reader=NAME 指定读卡器 / which page; default: counter",
    )
    parser.add_argument(
        "--print", action="store_true", help="只显示链接，不打开浏览器 / show the link, open no browser"
    )
    parser.add_argument(
        "--for", dest="user", metavar="USER", help="只有此系统用户能用该链接 / only this system user can use the link"
    )
    parser.add_argument("--address", metavar="URL", help="服务地址 / the bridge; default: the port in the settings")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="令牌文件 / the token's file")


def _run(options: Namespace, output: Output) -> int:
    from cardio.errors import CardioError
    from service.cli import desktop

    try:
        return _open(options, output)
    except CardioError as error:
        # An icon has no terminal: the user would not see the error.
        if not (options.print or output.as_json) and desktop.is_started_by_icon():
            desktop.show_problem(error)
        raise


def _open(options: Namespace, output: Output) -> int:
    from cardio.client import ADDRESS_VARIABLE, checked_address, default_token_file
    from service.cli import desktop
    from service.cli.errors import NoBrowserError
    from service.cli.running_bridge import reach
    from service.cli.user_unit import UserUnit
    from service.gate.page_sessions import LINK_SECONDS, LONG_LINK_SECONDS
    from service.settings import BridgeSettings

    path, query = _page(options.page)
    settings = BridgeSettings.load(token_file=options.token_file)
    named = options.address or os.environ.get(ADDRESS_VARIABLE)
    address = checked_address(named or _address(settings))
    token_file = settings.token_file or default_token_file()
    by_hand = options.print or output.as_json
    user = None if options.user is None else _number_of(options.user)
    # The unit serves the port of the settings; a bridge at a named address is not this unit's.
    with reach(address, token_file, None if named else UserUnit()) as bridge:

        def link_for(user: int | None, seconds: int) -> tuple[str, int]:
            ticket = bridge.post("/v1/pages/ticket", {"page": path, "seconds": seconds, "user": user})
            return f"{ticket['origin']}{path}{query}#ticket={ticket['ticket']}", ticket["expires_in"]

        if not by_hand:
            link, _ = link_for(_browsers_user() if user is None else user, LINK_SECONDS)
            if desktop.open_in_browser(link):
                output.text(
                    f"已在浏览器中打开：{address}{path}{query}", f"opened in the browser: {address}{path}{query}"
                )
                return DONE
        link, seconds = link_for(user, LONG_LINK_SECONDS)
    if output.as_json:
        output.document({"link": link, "expires_in": seconds})
        return DONE
    output.text(link)
    if not options.print:
        raise NoBrowserError()
    return DONE


def _browsers_user() -> int | None:
    """Return the only user whose browser may use a link on its command line.

    None if the bridge itself binds the link to a user.
    """
    if not sys.platform.startswith("linux"):  # elsewhere the bridge does not learn the user that connects
        return None
    from service.gate.peers import is_person

    own = os.getuid()
    return None if is_person(own) else own


def _number_of(user: str) -> int:
    """Return the number of a system user.

    Raises:
        UsageError: there is no such user.
    """
    from cardio.errors import UsageError

    if user.isascii() and user.isdecimal():
        return int(user)
    try:
        import pwd

        return pwd.getpwnam(user).pw_uid
    except (ImportError, KeyError):
        raise UsageError(f"没有系统用户 {user}", f"there is no system user {user}") from None


def open_again(address: str, token_file: Path) -> str:
    """Return the command that makes a new link to a bridge, as the user types it in the present folder."""
    from cardio.client import default_token_file
    from service.settings import BridgeSettings

    words = [_program(), "open"]
    found_by_itself = BridgeSettings.load()  # without the options that this bridge was started with
    if address != _address_of(found_by_itself.port, found_by_itself):
        words += ["--address", address]
    if token_file != (found_by_itself.token_file or default_token_file()):
        words += ["--token-file", str(token_file)]
    return shlex.join(words)


def _program() -> str:
    """Return ``cardio`` if the shell finds this program by that name, else its path from here."""
    own, found = Path(sys.argv[0]), shutil.which("cardio")
    if found is not None and Path(found).resolve() == own.resolve():
        return "cardio"
    path = os.path.relpath(own)
    return str(own) if path.startswith("..") else path


def _page(asked: str) -> tuple[str, str]:
    """Return the path of a page and its query.

    Raises:
        UsageError: there is no such page.
    """
    from cardio.errors import UsageError

    name, mark, query = asked.strip().lstrip("/").partition("?")
    path = _PATHS.get(name)
    if path is None:
        listed = "counter, kiosk, developer, pair"
        raise UsageError(f"没有页面 {name}；可选：{listed}", f"there is no page {name}; choose one of: {listed}")
    return path, mark + quote(query, safe=_IN_A_QUERY)


def _address(settings: BridgeSettings) -> str:
    """Return the address of the bridge of the settings.

    Raises:
        UsageError: the settings let the system choose the port.
    """
    from cardio.errors import UsageError

    if settings.port == 0:
        raise UsageError(
            "设置中的端口为 0（任选），请用 --address 指明服务地址", "the settings pick any port: give --address"
        )
    return _address_of(settings.port, settings)


def _address_of(port: int, settings: BridgeSettings) -> str:
    scheme = "https" if settings.network.certificate is not None else "http"
    return f"{scheme}://127.0.0.1:{port}"


open_command = Command(
    name="open",
    help="在浏览器中打开读卡台 / open the card counter in the browser",
    examples=(
        "  cardio open                             读卡台 / the counter\n"
        "  cardio open kiosk --print               只显示链接，10 分钟内可用一次 / a link, for one use in 10 minutes\n"
        "  cardio open --print --for clerk         只有该用户能用 / for this user only\n"
        "  cardio open --address http://127.0.0.1:12399"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
