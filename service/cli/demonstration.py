"""The command ``cardio serve --demo``: everything can be tried at simulated readers. Nothing of it reaches a real card.

All scopes and the published test keys are valid at simulated readers only. Debits are kept in a journal that is deleted
with the bridge. A real reader beside them reads as usual, with the scopes and the keys of the settings. No card in it
is ever debited.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cardio.cli.language import Language, in_language
from cardio.config.private_file import make_folder
from cardio.errors import CannotWriteError, CardioError, ConfigurationError
from service.debits.provider import JournalProvider
from service.gate.scopes import PAGE_SCOPES, Scope

if TYPE_CHECKING:
    from contextlib import ExitStack
    from socket import socket

    from service.bootstrap import AssembledBridge
    from service.security import SecurityContext
    from service.settings import BridgeSettings

GRANTS = "demo-grants.json"
"""The name of a grants file beside the token file.

Pages that are paired with a demonstration are not admitted by another bridge.
"""
PIN = "123456"
DEBIT_YEARS = 50
_PCSC_SECONDS = 2.0


class PassingJournal(JournalProvider):
    """A journal of debits in a folder of its own, which is deleted with it.

    Raises:
        CannotWriteError: no such folder can be made.
    """

    def __init__(self) -> None:
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="cardio-demo-"))
        except OSError as error:
            raise CannotWriteError(
                f"无法创建临时目录：{error.strerror}", f"no temporary folder can be made: {error.strerror}"
            ) from error
        super().__init__(self.folder / "debits.sqlite")

    def close(self) -> None:
        super().close()
        shutil.rmtree(self.folder, ignore_errors=True)


def assemble(settings: BridgeSettings, at_the_end: ExitStack) -> AssembledBridge:
    """Make a bridge that demonstrates everything. Its files are deleted at the end in every case."""
    from service import bootstrap

    own_security = bootstrap.security_of(settings)
    sockets = bind(settings, chosen="port" in settings.model_fields_set)
    passing = PassingJournal()
    at_the_end.callback(passing.close)
    placed = with_a_place(settings, settings.token_path, passing.folder)
    # The totals of a simulated card are of one year, and a demonstration debits no other card.
    placed = placed.model_copy(update={"debit_years": DEBIT_YEARS})
    return bootstrap.assemble(
        placed,
        sockets=sockets,
        journal=passing,
        security=security(own_security),
        scopes=scopes(placed),
        simulated_only=simulated_only(placed),
    )


def with_a_place(settings: BridgeSettings, token_file: Path, passing: Path) -> BridgeSettings:
    """Return settings whose token can be kept: in the temporary folder if the user's home cannot be written."""
    try:
        make_folder(token_file.parent)
    except OSError:
        writable = False
    else:
        writable = token_file.exists() or os.access(token_file.parent, os.W_OK)
    if writable or settings.token_file is not None:
        return settings.model_copy(update={"grants_file": token_file.with_name(GRANTS)})
    return settings.model_copy(
        update={"token_file": passing / "token", "grants_file": passing / GRANTS, "audit": False}
    )


def missing_pcsc() -> CardioError | None:
    """Return the reason why there are only simulated readers; None if PC/SC answers."""
    from cardio.readers.pcsc import PcscSource
    from cardio.readers.worker import Worker

    try:
        with Worker() as worker:
            worker.run_within(_PCSC_SECONDS, PcscSource().readers)
    except CardioError as error:
        return error
    return None


def scopes(settings: BridgeSettings) -> frozenset[Scope]:
    """Return the scopes of the token: everything that can be granted."""
    return settings.scopes | PAGE_SCOPES


def simulated_only(settings: BridgeSettings) -> frozenset[Scope]:
    """Return the scopes that count at simulated readers only.

    They are those that the settings do not grant, and always money.
    """
    return (scopes(settings) - settings.scopes) | {Scope.SETTLE}


def security(own: SecurityContext) -> SecurityContext:
    """Return the bridge's security, with the published test keys for simulated readers."""
    from service.readers.simulated import PublishedTestKeys

    return replace(own, simulated_sam=PublishedTestKeys())


def bind(settings: BridgeSettings, *, chosen: bool) -> list[socket]:
    """Return the bridge's sockets. If another program has the port and the user did not choose it, take a free one.

    Raises:
        ConfigurationError: the port that the user chose is taken.
    """
    from service.ports.binding import bind_loopback

    try:
        return bind_loopback(settings.port)
    except ConfigurationError as error:
        if chosen:
            error.remedy = "请另选端口（make run PORT=12341，或 --port）；不指定端口时会自动选用空闲端口。"
            error.remedy_en = "Choose another port (make run PORT=12341, or --port); without one a free one is found."
            raise
        return bind_loopback(0)


def words(settings: BridgeSettings, port: int, language: Language) -> str:
    """Return the text that the start shows beside the address.

    It has the PIN, the data that are kept, and changes of the settings.
    """
    lines = [
        (
            f"演示：模拟读卡器上可试用全部功能，测试卡密码 {PIN}；密钥是公开的测试密钥，扣款记录随服务结束而删除。",
            f"demo: everything works at the simulated readers; the PIN is {PIN}; debits are forgotten at the end.",
        )
    ]
    if settings.port not in (0, port):
        lines.append(
            (
                f"端口 {settings.port} 已被占用，改用 {port}；要指定端口：make run PORT=12341",
                f"port {settings.port} is taken, so this is {port}; to choose one: make run PORT=12341",
            )
        )
    missing = missing_pcsc() if settings.pcsc else None
    if missing is not None:
        lines.append(
            (
                f"可选：真实读卡器暂不可用（{missing.detail}）。{missing.remedy}",
                f"optional: no real readers for now ({missing.detail_en}). {missing.remedy_en}",
            )
        )
    return "\n".join(in_language(language, chinese, english, between="\n") for chinese, english in lines)
