"""The reasons why PC/SC cannot be used: not built in, not installed, not running, or not permitted. Each has its
remedy.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path

from cardio.errors import (
    NotPermittedError,
    PcscNotInstalledError,
    PcscSupportMissingError,
    PcscUnavailableError,
    ReaderError,
)

_SOCKET_VARIABLE = "PCSCLITE_CSOCK_NAME"
_SOCKET = "/run/pcscd/pcscd.comm"
_PLACES_OF_DAEMONS = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_SYSTEMD = Path("/run/systemd/system")
BUILD_PACKAGES = "libpcsclite-dev gcc libc6-dev pkg-config python3-dev"
"""The packages that pyscard is built with on Debian: it has no wheel for Linux. scripts/setup.sh installs the same."""
_INSTALL = {
    "apt-get": "sudo apt install pcscd libccid",
    "dnf": "sudo dnf install pcsc-lite pcsc-lite-ccid",
    "zypper": "sudo zypper install pcsc-lite pcsc-ccid",
    "pacman": "sudo pacman -S pcsclite ccid",
}


def service_fault(hresult: int | None = None) -> ReaderError | NotPermittedError:
    """Find out why the PC/SC service does not answer.

    The kernel is asked once, by connecting: between two checks of a socket it may appear or disappear.
    """
    if sys.platform != "linux":
        return PcscUnavailableError(hresult=hresult)
    place = _place()
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.setblocking(False)
            line.connect(str(place))
    except PermissionError:
        return _closed_to_user(place, hresult)
    except FileNotFoundError:
        return _not_running(hresult) if _daemon() else _not_installed(hresult)
    except OSError:
        pass  # the socket exists and nothing listens: the service does not run, which is returned below
    return _not_running(hresult)


def service_start() -> tuple[int, int] | None:
    """Return a mark of the service's last start: its socket's number and time; None where there is no socket.

    Under systemd the socket outlives the service.
    """
    try:
        status = _place().stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns


def support_fault() -> PcscSupportMissingError:
    """Return the error for a missing pyscard, with the command that adds it to this Python."""
    fault = PcscSupportMissingError()
    pip = f"{sys.executable} -m pip install pyscard"
    if sys.platform == "linux" and shutil.which("apt-get"):
        pip = f"sudo apt install {BUILD_PACKAGES} && {pip}"
    fault.remedy = f"请安装：{pip}（在源码目录中也可执行 make clean setup），然后重新启动本程序。"
    fault.remedy_en = f"Install it: {pip} (or, in the source folder: make clean setup). Then start this program again."
    return fault


def policy_fault(hresult: int | None = None) -> NotPermittedError:
    """Return the error for a running service that a policy of the system closes to this user."""
    fault = NotPermittedError(
        "系统策略不允许使用读卡器",
        "the system's policy (polkit) does not let this user use the reader",
        hresult=hresult,
    )
    fault.remedy = (
        "请管理员用 polkit 规则为当前用户授予读卡器权限（动作 org.debian.pcsc-lite.*）；远程桌面用户尤其需要。"
    )
    fault.remedy_en = (
        "Have the administrator admit this user by a polkit rule (actions org.debian.pcsc-lite.*); users of remote "
        "desktops need one."
    )
    return fault


def _place() -> Path:
    return Path(os.environ.get(_SOCKET_VARIABLE) or _SOCKET)


def _daemon() -> str | None:
    """Return the path of the service's program, which is in a folder that no user's path contains."""
    return shutil.which("pcscd", path=os.pathsep.join([os.environ.get("PATH", ""), *_PLACES_OF_DAEMONS]))


def _not_installed(hresult: int | None) -> PcscNotInstalledError:
    fault = PcscNotInstalledError(hresult=hresult)
    command = next((line for tool, line in _INSTALL.items() if shutil.which(tool)), None)
    if command is not None:
        fault.remedy = f"请安装智能卡服务和读卡器驱动：{command}；装好后本程序会自动恢复。"
        fault.remedy_en = (
            f"Install the service and the readers' driver: {command}. This program then recovers by itself."
        )
    return fault


def _not_running(hresult: int | None) -> PcscUnavailableError:
    fault = PcscUnavailableError(hresult=hresult)
    command = "sudo systemctl enable --now pcscd.socket" if _SYSTEMD.is_dir() else "sudo pcscd"
    fault.remedy = f"请启动智能卡服务（pcscd）：{command}；本程序会自动恢复。"
    fault.remedy_en = f"Start the PC/SC service (pcscd): {command}. This program recovers by itself."
    return fault


def _closed_to_user(place: Path, hresult: int | None) -> NotPermittedError:
    try:
        group = place.group()
    except (OSError, KeyError):
        group = ""
    zh, en = f"当前用户不能访问智能卡服务（{place}）", f"this user may not reach the PC/SC service ({place})"
    fault = NotPermittedError(zh, en, hresult=hresult)
    how, how_en = (
        (f"（例如加入 {group} 组，再重新登录）", f", by the group {group} for instance") if group else ("", "")
    )
    fault.remedy = f"请管理员为当前用户授予访问该套接字的权限{how}。"
    fault.remedy_en = f"Have the administrator give this user access to the socket{how_en}; then log in again."
    return fault
