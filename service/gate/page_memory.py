"""The data that the bridge's own pages keep from run to run.

A browser keeps data by address, and each run has another.
"""

from __future__ import annotations

import json
import logging
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any, Literal, get_args

from cardio.config.private_file import read_private, write_private
from cardio.errors import ConfigurationError

Language = Literal["zh", "en"]
_log = logging.getLogger("cardio.service")
_KEPT_RUNS = 16
"""The number of earlier runs' addresses where the bridge listens: a browser may have a tab of any of them."""
_KEPT_PORTS = 16
_FILE_LIMIT = 16_384
_LOOPBACK = ip_network("127.0.0.0/8")
_SHARED = IPv4Address("127.0.0.1")


class PageMemory:
    """The addresses of a port's last runs and the language that was chosen last, in a file beside the grants.

    Bridges on other ports may share the file: each keeps its own port's addresses.
    """

    def __init__(self, path: Path | None = None, port: int = 0) -> None:
        """Read the file. A file without usable contents counts as empty.

        Args:
            path: the file; None to keep nothing beyond this run.
            port: the bridge's port.
        """
        self._path = path
        self._port = str(port)
        found = self._read()
        self._addresses = _addresses(found.get("addresses"), self._port)
        self._language = _language(found.get("language"))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the addresses of earlier runs on this port, newest first."""
        return self._addresses

    @property
    def language(self) -> Language | None:
        """Return the language that was chosen last; None if none was ever chosen."""
        return self._language

    def keep_address(self, address: str) -> None:
        """Keep this run's address before those of earlier runs, also if the bridge does not listen there."""
        self._addresses = (address, *(one for one in self._addresses if one != address))[:_KEPT_RUNS]
        self._write()

    def keep_language(self, language: Language) -> None:
        """Keep a language. The call may wait for the disk."""
        self._language = language
        self._write()

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            found = json.loads(read_private(self._path, "网页记录文件", "pages' file", limit=_FILE_LIMIT))
        except (ConfigurationError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self) -> None:
        if self._path is None:
            return
        others = self._read().get("addresses")  # the bridge of another port may have written since
        ports = list(others.items())[-_KEPT_PORTS:] if isinstance(others, dict) else []
        kept = {port: _addresses(others, port) for port, _ in ports} | {self._port: self._addresses}
        try:
            write_private(self._path, json.dumps({"addresses": kept, "language": self._language}))
        except OSError as error:  # without it an old tab does not follow, and the language is Chinese
            _log.warning("the pages' file %s cannot be written: %s", self._path, error.strerror)


def _language(found: object) -> Language | None:
    return next((one for one in get_args(Language) if one == found), None)


def _addresses(by_port: object, port: str) -> tuple[str, ...]:
    listed = by_port.get(port) if isinstance(by_port, dict) else None
    found = dict.fromkeys(one for one in (listed if isinstance(listed, list) else ()) if _is_address(one))
    return tuple(found)[:_KEPT_RUNS]


def _is_address(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        address = IPv4Address(text)
    except ValueError:
        return False
    return address in _LOOPBACK and address not in (_SHARED, _LOOPBACK[0], _LOOPBACK[-1])
