"""The bridge's token: one secret in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from cardio.errors import ConfigurationError

_LEAST_LENGTH = 32
_MOST_LENGTH = 4096


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
        # Neither a link nor a pipe: the one may lead anywhere, the other never ends.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, encoding="ascii") as stream:
            _check_owner(path, os.fstat(handle))
            token = stream.read(_MOST_LENGTH).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"令牌文件 {path}：{error}", f"token file {path}: {error}") from error
    if len(token) < _LEAST_LENGTH:
        raise ConfigurationError(
            f"令牌文件 {path} 内容过短，删除后会自动生成", f"the token in {path} is too short: delete the file"
        )
    return token


def _check_owner(path: Path, about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise ConfigurationError(f"令牌文件 {path} 不是普通文件", f"the token file {path} is no regular file")
    if not hasattr(os, "getuid"):  # Windows has neither owners nor modes of this kind.
        return
    if stat.S_IMODE(about.st_mode) & 0o077:
        raise ConfigurationError(
            f"令牌文件 {path} 的权限过宽，请执行 chmod 600", f"others may read the token file {path}: chmod 600 it"
        )
    if about.st_uid != os.getuid():
        raise ConfigurationError(f"令牌文件 {path} 属于其他用户", f"the token file {path} is another user's")


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
