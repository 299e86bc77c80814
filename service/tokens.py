"""The bridge's token: one secret in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from cardio.errors import ConfigurationError

_LEAST_LENGTH = 32


def default_token_file() -> Path:
    """``$XDG_CONFIG_HOME/cardio/token``, else ``~/.config/cardio/token``."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return config / "cardio" / "token"


def load_token(path: Path) -> str:
    """The token in a file, which is made with a fresh one where it is missing.

    Raises:
        ConfigurationError: others may read the file, it belongs to somebody else, or it holds no token.
    """
    try:
        _create(path)
        with path.open(encoding="ascii") as stream:
            about = os.fstat(stream.fileno())
            if stat.S_IMODE(about.st_mode) & 0o077:
                raise ConfigurationError(
                    f"令牌文件 {path} 的权限过宽，请执行 chmod 600",
                    f"others may read the token file {path}: chmod 600 it",
                )
            if about.st_uid != os.getuid():
                raise ConfigurationError(f"令牌文件 {path} 属于其他用户", f"the token file {path} is another user's")
            token = stream.read().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"令牌文件 {path}：{error}", f"token file {path}: {error}") from error
    if len(token) < _LEAST_LENGTH:
        raise ConfigurationError(
            f"令牌文件 {path} 内容过短，删除后会自动生成", f"the token in {path} is too short: delete the file"
        )
    return token


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(secrets.token_urlsafe(32) + "\n")
