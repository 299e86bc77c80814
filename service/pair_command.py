"""``cardio pair``: who asks to be let in, who has been, and an end to it; on the console."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardio.cli.command import DONE, Command
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.bridge import BridgeClient

_TOKEN_LIMIT = 4096


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "action",
        choices=("list", "approve", "deny", "revoke", "add"),
        help="列出、同意、拒绝、撤销；为本机程序新建令牌 / list, approve, deny, revoke; add a token for a program",
    )
    parser.add_argument(
        "which",
        nargs="?",
        metavar="CODE|GRANT|NAME",
        help="核对码、授权编号或程序名称 / code, grant, or a program's name",
    )
    parser.add_argument("--scopes", metavar="SCOPE,…", help="授予的权限 / what is granted; default: what was asked for")
    parser.add_argument("--address", metavar="URL", help="服务地址 / the bridge; default http://127.0.0.1:12340")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="令牌文件 / the token's file")


def _run(options: Namespace, output: Output) -> int:
    from cardio.bridge import BridgeClient
    from cardio.errors import UsageError

    if options.action != "list" and not options.which:
        raise UsageError(f"cardio pair {options.action} 缺少对象", f"cardio pair {options.action}: which one?")
    with BridgeClient.connect(options.address, token=_token_of(options)) as bridge:
        match options.action:
            case "list":
                _list(bridge, output)
            case "approve":
                _approve(bridge, options, output)
            case "deny":
                bridge.post(f"/v1/pairing/{_request(bridge, options.which)['request']}/deny", {})
                _tell(output, {"denied": options.which}, "已拒绝 denied")
            case "revoke":
                bridge.delete(f"/v1/grants/{options.which}")
                _tell(output, {"revoked": options.which}, "已撤销，其连接已切断 / revoked; its connections are cut")
            case "add":
                _add(bridge, options, output)
    return DONE


def _token_of(options: Namespace) -> str | None:
    """The token of the file that is named. Raises: ConfigurationError: others may read it, or it is none."""
    from cardio.private_file import read_private

    file: Path | None = options.token_file
    return None if file is None else read_private(file, "令牌文件", "token file", limit=_TOKEN_LIMIT).strip()


def _list(bridge: BridgeClient, output: Output) -> None:
    requests, grants = bridge.get("/v1/pairing")["requests"], bridge.get("/v1/grants")["grants"]
    if output.as_json:
        output.document({"requests": requests, "grants": grants})
        return
    if requests:
        output.text("等待确认 waiting:")
        rows = [("核对码 code", "来源 origin", "名称 name", "权限 scopes", "剩余 left")]
        rows += [
            (one["code"], one["origin"], one["name"], ",".join(one["scopes"]), f"{one['seconds_left']} s")
            for one in requests
        ]
        output.table(rows)
        output.text()
    granted = [("授权 grant", "种类 kind", "来源 origin", "名称 name", "权限 scopes", "连接 live")]
    granted += [
        (one["grant"], one["kind"], one["origin"] or "-", one["name"], ",".join(one["scopes"]), str(one["live"]))
        for one in grants
    ]
    output.table(granted)


def _request(bridge: BridgeClient, code: str) -> dict[str, Any]:
    from service.errors import PairingGoneError

    wanted = code.replace(" ", "")
    for one in bridge.get("/v1/pairing")["requests"]:
        if wanted in (one["code"].replace(" ", ""), one["request"]):
            found: dict[str, Any] = one
            return found
    raise PairingGoneError()


def _approve(bridge: BridgeClient, options: Namespace, output: Output) -> None:
    asked = _request(bridge, options.which)
    scopes = options.scopes.split(",") if options.scopes else asked["scopes"]
    if not output.as_json:
        output.text(f"同意 letting in: {asked['origin']}  {asked['name']}  {','.join(scopes)}")
    grant = bridge.post(f"/v1/pairing/{asked['request']}/approve", {"scopes": scopes})
    _tell(output, grant, f"已授权 granted: {grant['grant']}（撤销 to revoke: cardio pair revoke {grant['grant']}）")


def _add(bridge: BridgeClient, options: Namespace, output: Output) -> None:
    scopes = (options.scopes or "basic").split(",")
    made = bridge.post("/v1/grants", {"name": options.which, "scopes": scopes})
    lines = [made["token"], f"授权 grant {made['grant']}；令牌只显示这一次 / the token is shown only now"]
    _tell(output, made, "\n".join([*lines, *_addresses(bridge, made["token"])]))


def _addresses(bridge: BridgeClient, token: str) -> list[str]:
    """Where a program that can send nothing else brings its token: in the address of a dialect."""
    from cardio.errors import CardioError

    try:
        ports = bridge.get("/v1/status")["dialects"]
    except CardioError:  # the owner's token may not ask; the address is in the documents too
        return []
    listening = {name: port for name, port in ports.items() if port is not None}
    return [f"兼容接口 dialect {name}: ws://127.0.0.1:{port}/{token}" for name, port in listening.items()]


def _tell(output: Output, document: Any, text: str) -> None:
    if output.as_json:
        output.document(document)
    else:
        output.text(text)


pair_command = Command(
    name="pair",
    help="网页和程序的授权：确认、列出、撤销 / who may use the bridge: confirm, list, revoke",
    examples=(
        "  cardio pair list\n"
        "  cardio pair approve 482913              核对码由网页显示 / the page shows the code\n"
        "  cardio pair revoke 5f3a90c1d2e4\n"
        "  cardio pair add prometheus --scopes metrics\n"
        "  cardio pair add HIS --scopes basic,files  Electron 等从磁盘打开的页面 / a page from a disk"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
