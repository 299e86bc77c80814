"""The bridge's token: one secret in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from cardio.errors import ConfigurationError
from cardio.private_file import read_private

_LEAST_LENGTH = 32
_MOST_LENGTH = 4096


def load_token(path: Path) -> str:
    """The token in a file, which is made with a fresh one where it is missing.

    Raises:
        ConfigurationError: others may read the file, it belongs to somebody else, or it holds no token.
    """
    try:
        _create(path)
    except OSError as error:
        raise _cannot_make(path, error) from error
    token = read_private(path, "令牌文件", "token file", limit=_MOST_LENGTH).strip()
    if len(token) < _LEAST_LENGTH:
        raise ConfigurationError(
            f"令牌文件 {path} 内容过短，删除后会自动生成", f"the token in {path} is too short: delete the file"
        )
    return token


def _cannot_make(path: Path, error: OSError) -> ConfigurationError:
    why = error.strerror or error
    fault = ConfigurationError(f"令牌文件 {path} 无法创建：{why}", f"the token file {path} cannot be made: {why}")
    fault.remedy = "请让 HOME（或 XDG_CONFIG_HOME）指向可写的目录，或用 --token-file 指定位置，然后重新启动。"
    fault.remedy_en = "Make HOME (or XDG_CONFIG_HOME) a folder that can be written, or give --token-file; start again."
    return fault


def _create(path: Path) -> None:
    """Makes the file whole or not at all: a second start at the same time finds the first one's token."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".token-")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)
