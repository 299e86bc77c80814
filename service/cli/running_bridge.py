"""The search for the bridge of this user: the one that runs, or the user unit's, which is started if necessary."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import urlsplit

from cardio.client import BridgeClient, BridgeNotRunningError, ImposterError
from cardio.config.private_file import read_private
from service.cli.errors import BridgeNotStartedError
from service.cli.user_unit import UserUnit
from service.gate.peers import listening_user
from service.ports.reservation import port_held

_READY_SECONDS = 45.0
"""The limit for the start: a bridge on an old and busy machine needs some ten seconds until its first answer."""
_LOOK_AGAIN_SECONDS = 0.1
_TOKEN_LIMIT = 4096


def reach(address: str, token_file: Path, unit: UserUnit | None) -> BridgeClient:
    """Connect to the bridge as the owner of its token, after it has proved that it knows the token.

    Args:
        address: the bridge's address.
        token_file: the file of the token.
        unit: the unit to start if no bridge runs; None to start nothing.

    Raises:
        BridgeNotRunningError: no bridge runs there, and there is no unit to start.
        BridgeNotStartedError: the unit was started and did not become ready.
        PortHeldError: another user's program has the port; the token was not sent to it.
        ImposterError: another program has the port; the token was not sent to it.
        ConfigurationError: other users may read the token file.
    """
    try:
        return _connect(address, token_file)
    except BridgeNotRunningError:
        if unit is None or not unit.is_installed():
            _expect_port_is_not_held(address)
            raise
    if not unit.is_running():
        _expect_port_is_not_held(address)
        if not unit.start():
            raise BridgeNotStartedError()
    ends = time.monotonic() + _READY_SECONDS
    while time.monotonic() < ends and unit.is_running():
        try:
            return _connect(address, token_file)
        except BridgeNotRunningError:
            time.sleep(_LOOK_AGAIN_SECONDS)
    _expect_port_is_not_held(address)
    raise BridgeNotStartedError()


def _connect(address: str, token_file: Path) -> BridgeClient:
    if not token_file.exists():
        raise BridgeNotRunningError()
    token = read_private(token_file, "令牌文件", "token file", limit=_TOKEN_LIMIT).strip()
    try:
        return BridgeClient.connect(address, token=token)
    except ImposterError:
        _expect_port_is_not_held(address)
        raise


def _expect_port_is_not_held(address: str) -> None:
    """Check that no other user's program has the port.

    Raises:
        PortHeldError: another user's program listens there, perhaps that user's bridge.
    """
    parts = urlsplit(address)
    user = listening_user(parts.hostname or "", parts.port or 0)
    if user is not None and user != os.getuid():
        raise port_held(parts.port or 0, user)
