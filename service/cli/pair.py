"""The command ``cardio pair``: it lists pairing requests and grants, and confirms or revokes them, on the console."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardio.cli.command import DONE, Command
from cardio.cli.confirm import consents
from cardio.cli.output import Output

if TYPE_CHECKING:
    from cardio.client import BridgeClient

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
        help="配对码、授权编号或程序名称 / code, grant, or a program's name",
    )
    parser.add_argument(
        "--scopes",
        metavar="SCOPE,…",
        help="授予的权限；不写时只授予无害的，其余逐项询问"
        " / what is granted; without it the harmless ones, and a question for each other",
    )
    parser.add_argument("--address", metavar="URL", help="服务地址 / the bridge; default http://127.0.0.1:12340")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="令牌文件 / the token's file")


def _run(options: Namespace, output: Output) -> int:
    from cardio.client import BridgeClient
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
                _print(output, {"denied": options.which}, output.label("已拒绝", "denied"))
            case "revoke":
                bridge.delete(f"/v1/grants/{options.which}")
                said = output.words("已撤销，其连接已切断", "revoked; its connections are cut")
                _print(output, {"revoked": options.which}, said)
            case "add":
                _add(bridge, options, output)
    return DONE


def _described(one: Mapping[str, Any], output: Output) -> list[str]:
    from service.cli.pairing_words import site_lines

    remarks = [(said["remark"], said["remark_en"]) for said in one["remarks"]]
    return site_lines(one["origin"], one["name"], remarks, output)


def _token_of(options: Namespace) -> str | None:
    """Return the token of the file that the option names; None without the option.

    Raises:
        ConfigurationError: other users may read the file, or it cannot be read.
    """
    from cardio.config.private_file import read_private

    file: Path | None = options.token_file
    return None if file is None else read_private(file, "令牌文件", "token file", limit=_TOKEN_LIMIT).strip()


def _list(bridge: BridgeClient, output: Output) -> None:
    from service.cli.pairing_words import site_part

    waiting, grants = bridge.get("/v1/pairing"), bridge.get("/v1/grants")["grants"]
    requests = waiting["requests"]
    if output.as_json:
        output.document({"requests": requests, "grants": grants})
        return
    if requests:
        output.text(output.label("等待确认", "waiting") + output.colon.rstrip())
        for one in requests:
            output.text(f"\n{one['code']}  {','.join(one['scopes'])}  {one['seconds_left']} s")
            for line in _described(one, output):
                output.item("  ", line)
        output.text()
    if waiting["more"]:
        more = waiting["more"]
        output.text(f"另有 {more} 个请求未列出，可直接用配对码", f"{more} more wait; their codes count all the same")
        output.text()
    granted = [
        output.titles("授权 grant", "种类 kind", "网站 site", "来源 origin", "名称 name", "权限 scopes", "连接 live")
    ]
    granted += [
        (
            one["grant"], one["kind"], site_part(one["origin"]) if one["origin"] else "-", one["origin"] or "-",
            one["name"], ",".join(one["scopes"]), str(one["live"]),
        )
        for one in grants
    ]  # fmt: skip
    output.table(granted, head=True)


def _request(bridge: BridgeClient, code: str) -> dict[str, Any]:
    from service.gate.errors import PairingGoneError

    wanted = code.replace(" ", "")
    for one in bridge.get("/v1/pairing", code=wanted)["requests"]:
        if wanted in (one["code"].replace(" ", ""), one["request"]):
            found: dict[str, Any] = one
            return found
    raise PairingGoneError()


def _approve(bridge: BridgeClient, options: Namespace, output: Output) -> None:
    asked = _request(bridge, options.which)
    if not output.as_json:
        for line in _described(asked, output):
            output.item("", line)
    scopes = options.scopes.split(",") if options.scopes else _chosen(bridge, asked, output)
    if not output.as_json:
        output.text(output.named("同意", "letting in", f"{asked['origin']}  {','.join(scopes)}"))
    grant = bridge.post(f"/v1/pairing/{asked['request']}/approve", {"scopes": scopes})
    undo = output.named("撤销", "to revoke", f"cardio pair revoke {grant['grant']}")
    _print(output, grant, output.named("已授权", "granted", grant["grant"]) + output.bracketed(undo))


def _chosen(bridge: BridgeClient, asked: Mapping[str, Any], output: Output) -> list[str]:
    """Return the scopes to grant if the options name none: the harmless ones, and those that a person agrees to.

    Raises:
        UsageError: no scope would be granted.
    """
    from cardio.errors import UsageError

    grantable = set(bridge.get("/v1/me")["scopes"])
    chosen = [scope for scope in asked["harmless"] if scope in grantable]
    harmful = [scope for scope in asked["scopes"] if scope not in asked["harmless"] and scope in grantable]
    if not output.as_json and sys.stdin is not None and sys.stdin.isatty():
        question = output.label("授予？", "grant it?")
        chosen += [one for one in harmful if consents(f"{one}: {_harm_of(one, output)}\n  {question}")]
    left_out = [scope for scope in asked["scopes"] if scope not in chosen]
    if not chosen:
        listed = ",".join(left_out)
        raise UsageError(
            f"没有可以直接授予的权限；确要授予时请写明，如 --scopes {listed}",
            f"nothing that is granted unasked; to grant it, name it: --scopes {listed}",
        )
    if left_out:
        every = ",".join(asked["scopes"])
        again = output.words("要授予，请让网页重新申请并写明", "to grant it have the page ask again, and name it")
        output.note(output.named("未授予", "not granted", ",".join(left_out)))
        output.note(f"  {again}{output.colon}--scopes {every}")
    return chosen


def _add(bridge: BridgeClient, options: Namespace, output: Output) -> None:
    scopes = (options.scopes or "basic").split(",")
    made = bridge.post("/v1/grants", {"name": options.which, "scopes": scopes})
    said = output.words(
        f"授权 {made['grant']}；令牌只显示这一次", f"grant {made['grant']}; the token is shown only now"
    )
    _print(output, made, "\n".join([made["token"], said, *_addresses(bridge, made["token"], output)]))


def _harm_of(scope: str, output: Output) -> str:
    from cardio.cli.language import help_in
    from service.cli.pairing_words import SCOPE_WORDS

    return help_in(output.language, SCOPE_WORDS.get(scope, ""))


def _addresses(bridge: BridgeClient, token: str, output: Output) -> list[str]:
    """Return the addresses of the dialects with the token in them, for a program that can send it in no other way."""
    from cardio.errors import CardioError

    try:
        ports = bridge.get("/v1/status")["dialects"]
    except CardioError:  # the owner's token may not ask; the address is in the documents too
        return []
    listening = {name: port for name, port in ports.items() if port is not None}
    dialect = output.label("兼容接口", "dialect")
    return [f"{dialect} {name}{output.colon}ws://127.0.0.1:{port}/{token}" for name, port in listening.items()]


def _print(output: Output, document: Any, text: str) -> None:
    if output.as_json:
        output.document(document)
    else:
        output.text(text)


pair_command = Command(
    name="pair",
    help="网页和程序的授权：确认、列出、撤销 / who may use the bridge: confirm, list, revoke",
    examples=(
        "  cardio pair list\n"
        "  cardio pair approve 482913              配对码由网页显示 / the page shows the code\n"
        "  cardio pair approve 482913 --scopes basic,pin\n"
        "  cardio pair revoke 5f3a90c1d2e4\n"
        "  cardio pair add prometheus --scopes metrics\n"
        "  cardio pair add HIS --scopes basic,files  Electron 等从磁盘打开的页面 / a page from a disk"
    ),
    add_arguments=_add_arguments,
    run=_run,
)
