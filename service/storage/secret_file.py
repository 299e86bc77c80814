"""The bridge's token: one secret in a file that only its owner can read."""

from __future__ import annotations

import secrets
from pathlib import Path

from cardio.config.private_file import create_private, read_private
from cardio.errors import ConfigurationError

_WHAT = ("令牌文件", "token file")
_LEAST_LENGTH = 32
_MOST_LENGTH = 4096


def load_token(path: Path) -> str:
    """Return the token in a file. A missing file is made with a new token.

    Raises:
        ConfigurationError: other users may read the file, it belongs to another user, or it holds no token.
    """
    try:
        create_private(path, secrets.token_urlsafe(32) + "\n", *_WHAT)
    except OSError as error:
        raise _cannot_make(path, error) from error
    token = read_private(path, *_WHAT, limit=_MOST_LENGTH).strip()
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
