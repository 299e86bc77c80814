"""The checks of ``cardio doctor`` for the bridge: settings, service, ports, token, admitted origins, browser policy."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cardio.cli.doctor.finding import Finding
from cardio.client import BridgeClient, BridgeNotRunningError, default_token_file
from cardio.errors import CardioError
from cardio.models.problem import Problem
from service.audit.errors import AuditUnavailableError
from service.debits.errors import JournalTamperedError
from service.driver.listening import taken_port
from service.driver.registry import dialects
from service.gate.errors import PortHeldError
from service.gate.page_memory import PageMemory
from service.gate.peers import listening_user
from service.gate.plain_http import REMEDY, risk_words, risked_scopes
from service.gate.port_holder import port_holder
from service.gate.scopes import Scope
from service.ports.reservation import is_denied_to_us, is_supported
from service.settings import BridgeSettings, settings_files

POLICY_FOLDERS = (
    Path("/etc/chromium/policies/managed"),
    Path("/etc/opt/chrome/policies/managed"),
    Path("/etc/opt/edge/policies/managed"),
)
_ALLOWING = ("LocalNetworkAccessAllowedForUrls", "LoopbackNetworkAllowedForUrls")


def bridge_findings() -> Iterator[Finding]:
    """Yield the findings of all checks, one after another."""
    try:
        settings = BridgeSettings.load()
    except CardioError as error:
        yield Finding.of_error("settings", error)
        return
    files = ", ".join(str(path) for path in settings_files())
    yield Finding("settings", "ok", files or "没有设置文件，均为默认", files or "no settings file: all defaults")
    seen = _Seen()
    yield from _service(settings, seen)
    yield from _page_addresses(settings)
    yield from _dialects(settings, seen)
    yield from plain_http_findings([*settings.trusted.items(), *seen.let_in.items()])
    yield from browser_findings(settings, POLICY_FOLDERS)


@dataclass(slots=True)
class _Seen:
    """The bridge's own report, if it runs."""

    running: bool = False
    dialect_problems: dict[str, Problem] = field(default_factory=dict)
    let_in: dict[str, frozenset[Scope]] = field(default_factory=dict)
    """The origins that a person has admitted, with their scopes."""


def _service(settings: BridgeSettings, seen: _Seen) -> Iterator[Finding]:
    place = f"http://127.0.0.1:{settings.port}"
    try:
        with BridgeClient.connect(place) as bridge:
            status = bridge.get("/v1/status")
            yield Finding(
                "service",
                "ok",
                f"{place} 正在运行，版本 {status['version']}",
                f"{place} runs, version {status['version']}",
            )
            yield _audit(status.get("audit", "off"))
            seen.running = True
            for one in status.get("dialect_problems", ()):
                seen.dialect_problems[one["name"]] = Problem.model_validate(one["problem"])
            seen.let_in = _let_in(bridge.get("/v1/grants")["grants"])
            yield from _refused(bridge.get("/v1/pairing").get("refused", ()))
            yield from map(_task, status.get("tasks", ()))
            yield from _missing_readers(settings, [info.name for info in bridge.readers()])
            # Without debits no journal is needed, and the question would make one.
            if Scope.SETTLE in settings.scopes:
                yield _debits_of(bridge)
    except BridgeNotRunningError as error:
        yield _not_running(settings.port, error)
    except CardioError as error:
        yield Finding.of_error("service", error)


def _refused(callers: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    for one in callers:
        yield Finding(
            "callers", "note",
            f"兼容接口 {one['dialect']} 拒绝了 {one['origin'] or '未注明来源的程序'}（{one['count']} 次）",
            f"{one['dialect']} turned away {one['origin'] or 'a program without an Origin'} ({one['count']} times)",
            one["remedy"], one["remedy_en"],
        )  # fmt: skip


def _let_in(grants: Iterable[Mapping[str, Any]]) -> dict[str, frozenset[Scope]]:
    found: dict[str, frozenset[Scope]] = {}
    for one in grants:
        if one["origin"] is not None:
            known = {scope for scope in Scope if scope.value in one["scopes"]}
            found[one["origin"]] = found.get(one["origin"], frozenset()) | known
    return found


def plain_http_findings(origins: Iterable[tuple[str, frozenset[Scope]]]) -> Iterator[Finding]:
    """Yield findings for origins by http:// that have harmful scopes."""
    for origin, scopes in origins:
        risked = risked_scopes(origin, scopes)
        if risked:
            yield Finding("origins", "bad", *risk_words(origin, risked), *REMEDY, exit_status=1)


def _audit(state: str) -> Finding:
    if state == "failing":
        return Finding(
            "audit", "bad", "审计日志无法写入", "the audit log cannot be written",
            AuditUnavailableError.remedy, AuditUnavailableError.remedy_en, exit_status=1,
        )  # fmt: skip
    if state == "off":
        return Finding("audit", "note", "设置中关闭了审计日志", "the settings have no audit log", "", "")
    return Finding("audit", "ok", "审计日志正在记录", "the audit log is kept")


def _task(task: dict[str, Any]) -> Finding:
    """Return the finding for a background task of the running bridge that has failed."""
    return Finding(
        "task",
        "bad" if task["down"] else "note",
        f"后台任务 {task['task']} 出错 {task['failures']} 次，最近一次 {task['error']}（{task['place']}）",
        f"background task {task['task']} failed {task['failures']} times, last {task['error']} at {task['place']}",
        "任务会自动恢复；请把此行连同日志交给信息科。",
        "It starts again by itself; give this line and the log to your IT department.",
        exit_status=1 if task["down"] else 0,
    )


def _missing_readers(settings: BridgeSettings, present: list[str]) -> Iterator[Finding]:
    """Yield findings for readers that the settings name and that are absent: a changed name, or an unplugged cable."""
    for name in settings.readers.policy(settings.sam).missing(present):
        yield Finding(
            "readers",
            "note",
            f"设置中的读卡器“{name}”不在；现有：{'、'.join(present) or '—'}",
            f"the settings name a reader {name!r} that is not there; there are: {', '.join(present) or '-'}",
            "请检查连接线，或改正 bridge.toml 中 [readers] 或 sam 的名称。",
            "Check its cable, or fix its name in [readers] or sam of bridge.toml.",
        )


def _debits_of(bridge: BridgeClient) -> Finding:
    try:
        problem = bridge.get("/v1/journal")["problem"]
        if problem is not None:
            return Finding(
                "debits", "bad", problem["detail"] or problem["title"], problem["detail_en"] or problem["title_en"],
                problem["remedy"], problem["remedy_en"], exit_status=1,
            )  # fmt: skip
        return _debits(bridge.get("/v1/debits", peek="true")["debits"])
    except CardioError as error:
        return Finding.of_error("debits", error)


def _debits(listed: list[dict[str, Any]]) -> Finding:
    unknown = [one for one in listed if one["outcome"] == "unknown"]
    if unknown:
        return Finding(
            "debits", "bad", f"{len(unknown)} 笔消费结果未知", f"debits with an unknown result: {len(unknown)}",
            "请持卡人放回该卡重试；卡片不再出现时，核对后用 cardio debits resolve 认定。",
            "Have the card put back and ask again; when it does not come back, compare and use cardio debits resolve.",
            exit_status=1,
        )  # fmt: skip
    tampered = sum(one["tampered"] for one in listed)
    if tampered:
        return Finding(
            "debits", "bad", f"{tampered} 笔消费的记录被改动", f"debits changed from outside: {tampered}",
            JournalTamperedError.remedy, JournalTamperedError.remedy_en, exit_status=1,
        )  # fmt: skip
    undelivered = sum(one["undelivered"] for one in listed)
    if undelivered:
        return Finding(
            "debits", "bad", f"{undelivered} 笔扣款的结果未送达",
            f"debits whose result was not delivered: {undelivered}",
            "请核对这些扣款（cardio debits），然后用 cardio debits acknowledged 记为已核对。",
            "Look at them (cardio debits), then say so: cardio debits acknowledged.", exit_status=1,
        )  # fmt: skip
    done = sum(one["outcome"] == "done" for one in listed)
    return Finding(
        "debits", "ok", f"没有结果未知的消费；待入账 {done} 笔", f"no debit is unknown; to be booked: {done}"
    )


def _not_running(port: int, error: CardioError) -> Finding:
    if not default_token_file().exists() and not _is_free(port):
        return Finding(
            "port", "bad", f"端口 {port} 上有程序在监听，但当前用户没有令牌",
            f"a program listens on {port}, and this user has no token",
            "服务可能由另一个用户启动；请用同一用户运行，或换一个端口。",
            "The service may run as another user: use that user, or another port.", exit_status=69,
        )  # fmt: skip
    if not _is_free(port):
        return Finding(
            "port", "bad", f"端口 {port} 被其他程序占用", f"port {port} is taken by another program",
            "请停止占用端口的程序，或在设置中换一个端口（port）。",
            "Stop the program that has it, or set another port.", exit_status=69,
        )  # fmt: skip
    if is_supported() and is_denied_to_us(port):
        return Finding(
            "port", "bad", f"端口 {port} 由另一用户的程序占用或保留，读卡服务不能启动",
            f"another user's program has port {port}, or reserves it: the bridge cannot start",
            PortHeldError.remedy, PortHeldError.remedy_en, exit_status=PortHeldError.exit_status,
        )  # fmt: skip
    return Finding(
        "service", "note", f"读卡服务未运行（端口 {port} 空闲）", f"the bridge does not run (port {port} is free)",
        error.remedy, error.remedy_en,
    )  # fmt: skip


def _page_addresses(settings: BridgeSettings) -> Iterator[Finding]:
    """Yield a finding for another user's program at an address that the bridge's own pages had before."""
    if not hasattr(os, "getuid"):
        return
    bridge = listening_user("127.0.0.1", settings.port)
    believed = {os.getuid() if bridge is None else bridge, None}
    held = [
        address
        for address in PageMemory(settings.pages_path, settings.port).addresses
        if listening_user(address, settings.port) not in believed
    ]
    if held:
        listed = ", ".join(held)
        yield Finding(
            "pages", "note", f"本服务网页以前的地址由其他用户的程序占用：{listed}",
            f"another user's program has addresses that the bridge's pages had before: {listed}",
            "请停止该程序；网页只从桌面图标打开，旧标签页和收藏不要使用。",
            "Stop that program. Open pages by the icon only, no old tabs and no bookmarks.",
        )  # fmt: skip


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _dialects(settings: BridgeSettings, seen: _Seen) -> Iterator[Finding]:
    for name in dialects():
        on, port = name in settings.dialects.ports, settings.dialects.port_of(name)
        taken, problem = not _is_free(port), seen.dialect_problems.get(name)
        if problem is None and on and taken and not seen.running:
            problem = Problem.of(taken_port(name, port))
        if problem is not None:
            yield Finding(
                "dialect", "bad", problem.detail, problem.detail_en, problem.remedy, problem.remedy_en, exit_status=69
            )
        elif on and taken:
            yield Finding("dialect", "ok", f"{name}：ws://127.0.0.1:{port}", f"{name}: ws://127.0.0.1:{port}")
        elif on:
            yield Finding(
                "dialect", "note", f"{name} 已启用，但端口 {port} 无人监听",
                f"{name} is on, but no program listens on {port}",
                "请启动读卡服务。", "Start the bridge.",
            )  # fmt: skip
        elif taken:
            holder = _holder(port)
            yield Finding(
                "dialect", "note", f"端口 {port}（{name}）上有其他程序{holder}",
                f"another program has port {port} ({name}){holder}",
                "可能是厂商的读卡程序；启用兼容接口前请先停止它。",
                "It may be a vendor's bridge: stop it before this dialect is switched on.",
            )  # fmt: skip


def _holder(port: int) -> str:
    holder = port_holder(port)
    return "" if holder is None or not holder.words else f": {holder.words}"


def browser_findings(settings: BridgeSettings, folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Yield findings about browser policies.

    They say if managed browsers let the trusted origins reach this machine without asking the clerk.
    """
    allowed: set[str] = set()
    managed = False
    for folder in folders:
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            managed = True
            try:
                policy: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                yield Finding(
                    "browser", "bad", f"{path}：{error}", f"{path}: {error}",
                    "浏览器会忽略此文件，请更正。", "Browsers ignore this file. Fix it.", exit_status=1,
                )  # fmt: skip
                continue
            for name in _ALLOWING:
                allowed |= {str(one).rstrip("/") for one in policy.get(name, [])}
    missing = [one.origin for one in settings.trusted_origins if one.origin not in allowed]
    if missing:
        listed = ", ".join(missing)
        yield Finding(
            "browser", "note", f"浏览器策略未放行 {listed}", f"no browser policy lets {listed} reach this machine",
            "Chrome 和 Edge 会先询问操作员；可部署策略模板（docs/operating.md）。",
            "Chrome and Edge will ask the clerk first; roll the policy templates out (docs/operating.en.md).",
        )  # fmt: skip
    elif settings.trusted_origins:
        yield Finding("browser", "ok", "浏览器策略已放行登记的来源", "browser policies let the trusted origins in")
    else:
        words = ("有浏览器策略", "browser policies are there") if managed else ("没有浏览器策略", "no browser policy")
        yield Finding("browser", "ok", f"{words[0]}；未登记来源", f"{words[1]}; no origin is trusted by the settings")
