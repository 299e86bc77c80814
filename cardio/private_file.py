"""Files with secrets in them: read only when nobody else can."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cardio.errors import ConfigurationError


def read_private(path: Path, what: str, what_en: str, *, limit: int) -> str:
    """The text of a file that belongs to this user alone; neither a link nor a pipe.

    Args: ``what`` names the file to people, in Chinese and English; of a longer text than ``limit`` the beginning.

    Raises:
        ConfigurationError: others may read it, it is another user's, or it cannot be read as text.
    """
    try:
        # A link may lead anywhere, a pipe never ends.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, encoding="utf-8-sig") as stream:
            _check_owner(path, os.fstat(handle), what, what_en)
            return stream.read(limit)
    except OSError as error:
        raise ConfigurationError(f"{what} {path}：{error}", f"{what_en} {path}: {error}") from error
    except UnicodeDecodeError:
        # Its message quotes what stands in the file.
        raise ConfigurationError(f"{what} {path} 不是文本", f"the {what_en} {path} is no text") from None


def _check_owner(path: Path, about: os.stat_result, what: str, what_en: str) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise ConfigurationError(f"{what} {path} 不是普通文件", f"the {what_en} {path} is no regular file")
    if not hasattr(os, "getuid"):  # Windows has neither owners nor modes of this kind.
        return
    if stat.S_IMODE(about.st_mode) & 0o077:
        raise ConfigurationError(
            f"{what} {path} 的权限过宽，请执行 chmod 600", f"others may read the {what_en} {path}: chmod 600 it"
        )
    if about.st_uid != os.getuid():
        raise ConfigurationError(f"{what} {path} 属于其他用户", f"the {what_en} {path} is another user's")
