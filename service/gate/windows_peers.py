"""The process at the other end of a connection, and the holder of a port, on Windows.

Never run on Windows: only the parsing is tested.

Sources: Microsoft's documentation of ``GetExtendedTcpTable`` (iphlpapi), ``MIB_TCPROW_OWNER_PID``,
``MIB_TCP6ROW_OWNER_PID``, ``OpenProcessToken`` and ``GetTokenInformation`` (advapi32).
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from service.gate.port_holder import PortHolder

_AF_INET, _AF_INET6 = 2, 23
_TABLE_OF_ALL_WITH_PID = 5
_TOO_SMALL = 122
_LISTENING = 2
_QUERY_LIMITED_INFORMATION = 0x1000
_TOKEN_QUERY = 0x0008
_TOKEN_USER = 1
_ROW_4 = struct.Struct("<I4sI4sII")
"""State, local address and port, remote address and port, process: MIB_TCPROW_OWNER_PID."""
_ROW_6 = struct.Struct("<16sII16sIIII")
"""Local address, scope and port, remote address, scope and port, state, process: MIB_TCP6ROW_OWNER_PID."""
_TRIES = 4
_LONGEST_PATH = 32_768


@dataclass(frozen=True, slots=True)
class TcpRow:
    """One connection, or one listening socket."""

    local: tuple[bytes, int]
    remote: tuple[bytes, int]
    listening: bool
    pid: int


def parse_table(table: bytes, *, six: bool) -> list[TcpRow]:
    """Return the rows of a table; if the table is cut short, its complete rows.

    Args:
        table: the bytes that ``GetExtendedTcpTable`` wrote.
        six: True for the table of IPv6.
    """
    if len(table) < 4:
        return []
    rows = []
    form = _ROW_6 if six else _ROW_4
    number = int.from_bytes(table[:4], "little")
    for start in range(4, min(len(table) - form.size + 1, 4 + number * form.size), form.size):
        if six:
            local, _, local_port, remote, _, remote_port, state, pid = form.unpack_from(table, start)
        else:
            state, local, local_port, remote, remote_port, pid = form.unpack_from(table, start)
        ends = (local, _port(local_port)), (remote, _port(remote_port))
        rows.append(TcpRow(*ends, listening=state == _LISTENING, pid=pid))
    return rows


def _port(word: int) -> int:
    """Return the port in the low half of the word, which is in network byte order."""
    return (word & 0xFF) << 8 | word >> 8 & 0xFF


def find_peer(rows: list[TcpRow], client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the process at the other end of a connection: there our client's address is the local one."""
    ends = (_packed(client[0]), client[1]), (_packed(server[0]), server[1])
    return next((row.pid for row in rows if (row.local, row.remote) == ends and not row.listening), None)


def _packed(host: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def is_same_user_on_windows(client: tuple[str, int], server: tuple[str, int]) -> bool:
    """Return True if the user of this process also runs the program at the other end of a connection.

    False if Windows does not tell.
    """
    try:
        pid = find_peer(_read_table(six=":" in client[0]), client, server)
        if pid is None:
            return False
        own, other = _user_of(None), _user_of(pid)
    except (OSError, ValueError, AttributeError):
        return False
    return own is not None and own == other


def port_holder_on_windows(port: int) -> PortHolder | None:
    """Return the same as `service.gate.port_holder.port_holder`."""
    try:
        rows = [row for six in (False, True) for row in _read_table(six=six)]
        pid = next((row.pid for row in rows if row.listening and row.local[1] == port), None)
        return None if pid is None else PortHolder(pid, _program_of(pid))
    except (OSError, ValueError, AttributeError):
        return None


def _library(name: str) -> Any:
    return ctypes.WinDLL(name, use_last_error=True)  # type: ignore[attr-defined,unused-ignore]


def _read_table(*, six: bool) -> list[TcpRow]:
    size = ctypes.c_uint32(0)
    family = _AF_INET6 if six else _AF_INET
    for _ in range(_TRIES):  # the table may grow between two calls
        buffer = ctypes.create_string_buffer(size.value)
        result = _library("iphlpapi").GetExtendedTcpTable(
            buffer, ctypes.byref(size), False, family, _TABLE_OF_ALL_WITH_PID, 0
        )
        if result == 0:
            return parse_table(buffer.raw, six=six)
        if result != _TOO_SMALL:
            break
    return []


def _opened(pid: int | None) -> Iterator[Any]:
    """Yield a handle of a process and close it after use; of this process if ``pid`` is None."""
    kernel = _library("kernel32")
    kernel.OpenProcess.restype = kernel.GetCurrentProcess.restype = ctypes.c_void_p
    handle = kernel.GetCurrentProcess() if pid is None else kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, pid)
    if not handle:
        return
    try:
        yield ctypes.c_void_p(handle)
    finally:
        if pid is not None:
            kernel.CloseHandle(ctypes.c_void_p(handle))


def _user_of(pid: int | None) -> bytes | None:
    """Return the security identifier of the user that runs a process; None if Windows does not tell."""
    for process in _opened(pid):
        token = ctypes.c_void_p()
        advapi = _library("advapi32")
        if not advapi.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token)):
            return None
        try:
            needed = ctypes.c_uint32(0)
            advapi.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(needed))
            buffer = ctypes.create_string_buffer(max(needed.value, 1))
            if not advapi.GetTokenInformation(token, _TOKEN_USER, buffer, needed, ctypes.byref(needed)):
                return None
            # TOKEN_USER begins with a pointer to the identifier, which stands in the same buffer.
            identifier = ctypes.c_void_p.from_buffer(buffer).value
            advapi.GetLengthSid.argtypes = [ctypes.c_void_p]
            return None if identifier is None else ctypes.string_at(identifier, advapi.GetLengthSid(identifier))
        finally:
            _library("kernel32").CloseHandle(token)
    return None


def _program_of(pid: int) -> str:
    for process in _opened(pid):
        path, size = ctypes.create_unicode_buffer(_LONGEST_PATH), ctypes.c_uint32(_LONGEST_PATH)
        if _library("kernel32").QueryFullProcessImageNameW(process, 0, path, ctypes.byref(size)):
            return PureWindowsPath(path.value).name
    return ""
