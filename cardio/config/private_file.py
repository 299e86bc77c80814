"""Private files of this user: secrets, and the program's memory. All of them have one check.

A private file is a regular file of this user, mode 0600 or less, with one name. A symbolic link may lead to any place,
and a hard link may be a file that another program has to protect. So neither is accepted, and its target is never
created or changed.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cardio.errors import ConfigurationError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment] # a module of other systems; checked for None before use

SIDE_FILES = ("-wal", "-shm", "-journal")
"""The files that SQLite keeps beside a database."""
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
"""The flags of opening: no link is followed, and no pipe is waited for."""
_OTHERS = 0o077
_ACCESS_LIST = "system.posix_acl_access"
_ROOT = 0


def make_folder(folder: Path) -> None:
    """Create a folder and the missing ones above it, each for this user only.

    `mkdir` alone would create the upper folders by the umask, and in a folder that others can write they can replace
    files.

    Raises:
        OSError: it cannot be created.
    """
    for one in reversed((folder, *folder.parents)):
        if not one.exists():
            one.mkdir(mode=0o700, exist_ok=True)


def read_private(path: Path, what: str, what_en: str, *, limit: int) -> str:
    """Return the text of a private file.

    Args:
        path: the file.
        what: the kind of file for people, in Chinese.
        what_en: the same in English.
        limit: the greatest number of characters; the rest of a longer text is left out.

    Raises:
        ConfigurationError: it is no private file, or it cannot be read as text.
    """
    try:
        # The check uses the open handle, not the path a second time: so the checked file is the one that is read.
        with os.fdopen(os.open(path, os.O_RDONLY | _SAFELY), encoding="utf-8-sig") as stream:
            _require_private(path, os.fstat(stream.fileno()), what, what_en)
            return stream.read(limit)
    except OSError as error:
        # For a link or a folder this gives clearer words than the system's "too many levels" and Python's error.
        with suppress(OSError):
            _require_private(path, os.lstat(path), what, what_en)
        raise ConfigurationError(f"{what} {path}：{error}", f"{what_en} {path}: {error}") from error
    except UnicodeDecodeError:
        # Its message quotes the file's content.
        raise ConfigurationError(f"{what} {path} 不是文本", f"the {what_en} {path} is no text") from None


def read_own(path: Path, what: str, what_en: str, *, is_secret: Callable[[str], bool]) -> str:
    """Return the text of a settings file that others may read, and that only this user or root can have written.

    A link to one is accepted, because people keep their settings elsewhere. A text that is a secret has to be in a
    private file.

    Args:
        path: the file.
        what: the kind of file for people, in Chinese.
        what_en: the same in English.
        is_secret: returns True if the text contains a secret.

    Raises:
        ConfigurationError: other users may have written it, or may read a secret in it.
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
    """
    flags = os.O_RDONLY | (_SAFELY & ~getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(os.open(path, flags), encoding="utf-8-sig") as stream:
        _require_own(path, stream.fileno(), what, what_en)
        text = stream.read()
    return read_private(path, what, what_en, limit=len(text)) if is_secret(text) else text


def check_own(path: Path, what: str, what_en: str) -> None:
    """Check a settings file as `read_own` does, for a library that reads it by its name.

    Raises:
        ConfigurationError: other users may have written it.
        OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | (_SAFELY & ~getattr(os, "O_NOFOLLOW", 0)))
    try:
        _require_own(path, handle, what, what_en)
    finally:
        os.close(handle)


def _require_own(path: Path, handle: int, what: str, what_en: str) -> None:
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        raise ConfigurationError(f"{what} {path} 不是普通文件", f"the {what_en} {path} is no regular file")
    if not hasattr(os, "getuid"):
        return
    if about.st_uid not in (os.getuid(), _ROOT):
        raise ConfigurationError(f"{what} {path} 属于其他用户", f"the {what_en} {path} is another user's")
    of_others = about.st_mode & stat.S_IWOTH
    of_group = about.st_mode & stat.S_IWGRP and not _is_group_of_one(handle, about)
    if of_others or of_group:
        raise ConfigurationError(
            f"{what} {path} 可被他人改写，请执行 chmod go-w",
            f"others may write the {what_en} {path}: chmod go-w it",
        )


def _is_group_of_one(handle: int, about: os.stat_result) -> bool:
    """Return True if a file's group is this user's alone, as where each user has a group of that name (umask 002).

    With an access control list the group's bits are those of all users in the list.
    """
    import grp
    import pwd

    with suppress(OSError, AttributeError):  # no list; or another system than Linux
        os.getxattr(handle, _ACCESS_LIST)
        return False
    try:
        account, group = pwd.getpwuid(os.getuid()), grp.getgrgid(about.st_gid)
    except KeyError:
        return False
    own = account.pw_gid == group.gr_gid and account.pw_name == group.gr_name
    return own and set(group.gr_mem) <= {account.pw_name}


def check_tls_key(path: Path) -> None:
    """Check a TLS key before a library reads it: it must be a private file, or root's that one group may read.

    Raises:
        ConfigurationError: it is neither, or does not exist.
    """
    what, what_en = "TLS 私钥", "TLS key"
    try:
        about = os.lstat(path)
    except OSError as error:
        raise ConfigurationError(f"{what} {path}：{error}", f"{what_en} {path}: {error}") from error
    of_a_service = stat.S_ISREG(about.st_mode) and about.st_nlink == 1 and about.st_uid == _ROOT
    if of_a_service and not stat.S_IMODE(about.st_mode) & (_OTHERS & ~stat.S_IRGRP):
        return
    _require_private(path, about, what, what_en)


def check_private(path: Path, what: str, what_en: str) -> os.stat_result:
    """Check a private file without opening it, for a library that opens files by name; return its state.

    The caller compares the state (`os.path.samestat`) with a second check when the file is open. A file that this
    process has locked must not be opened and closed: that would end its locks (POSIX `fcntl`).

    Raises:
        ConfigurationError: it is no private file.
        OSError: it does not exist.
    """
    about = os.lstat(path)
    _require_private(path, about, what, what_en)
    return about


def prepare_private(path: Path, what: str, what_en: str, *, narrow: bool = False) -> os.stat_result:
    """Create an empty private file if there is none, and check it with `check_private`.

    Args:
        path: the file.
        what: the kind of file for people, in Chinese.
        what_en: the same in English.
        narrow: make this user's own file private if others may read it, instead of refusing it; only for a file from
            which nothing was ever learnt.

    Raises:
        ConfigurationError: the existing file is no private file.
        OSError: it cannot be created.
    """
    make_folder(path.parent)
    with suppress(FileExistsError):  # O_EXCL fails on any link, even on one whose target is missing
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600))
    if narrow and hasattr(os, "fchmod") and stat.S_ISREG(os.lstat(path).st_mode):
        with os.fdopen(os.open(path, os.O_RDONLY | _SAFELY)) as stream:
            about = os.fstat(stream.fileno())
            if about.st_uid == os.getuid() and about.st_nlink == 1:
                os.fchmod(stream.fileno(), 0o600)
    return check_private(path, what, what_en)


def prepare_database(path: Path, what: str, what_en: str) -> os.stat_result:
    """Create and check a file as `prepare_private` does, for SQLite; its side files are checked too.

    Raises:
        ConfigurationError: one of them is no private file.
        OSError: it cannot be created.
    """
    found = prepare_private(path, what, what_en)
    for suffix in SIDE_FILES:
        with suppress(FileNotFoundError):
            check_private(path.with_name(path.name + suffix), what, what_en)
    return found


def require_unmoved(path: Path, before: os.stat_result, what: str, what_en: str) -> None:
    """Check again a file that was opened by its name since `check_private`.

    Raises:
        ConfigurationError: another file is there now.
    """
    try:
        same = os.path.samestat(before, check_private(path, what, what_en))
    except OSError:
        same = False
    if not same:
        raise ConfigurationError(
            f"{what} {path} 在打开时被替换", f"the {what_en} {path} was replaced while it was opened"
        )


def create_private(path: Path, text: str, what: str, what_en: str) -> None:
    """Create a private file with a text, if there is none or an empty one; of two processes only one writes it.

    Raises:
        ConfigurationError: the existing file is no private file.
        OSError: it cannot be created.
    """
    make_folder(path.parent)
    with suppress(FileNotFoundError):
        if check_private(path, what, what_en).st_size:
            return
    handle = os.open(path, os.O_RDWR | os.O_CREAT | _SAFELY, 0o600)
    with os.fdopen(handle, "r+", encoding="utf-8") as stream:
        _require_private(path, os.fstat(stream.fileno()), what, what_en)
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
        if os.fstat(stream.fileno()).st_size == 0:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())


def write_private(path: Path, text: str) -> None:
    """Write a private file whole or not at all, and replace the existing one; a link itself is replaced.

    Raises:
        OSError: it cannot be written.
    """
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600, whatever the umask
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:  # any error, an interruption too: no half-written file stays
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _require_private(path: Path, about: os.stat_result, what: str, what_en: str) -> None:
    if stat.S_ISLNK(about.st_mode):
        raise ConfigurationError(f"{what} {path} 是符号链接", f"the {what_en} {path} is a symbolic link")
    if not stat.S_ISREG(about.st_mode):
        raise ConfigurationError(f"{what} {path} 不是普通文件", f"the {what_en} {path} is no regular file")
    if not hasattr(os, "getuid"):  # Windows has neither owners nor modes of this kind.
        return
    if about.st_uid != os.getuid():
        raise ConfigurationError(f"{what} {path} 属于其他用户", f"the {what_en} {path} is another user's")
    if stat.S_IMODE(about.st_mode) & _OTHERS:
        raise ConfigurationError(
            f"{what} {path} 的权限过宽，请执行 chmod 600", f"others may read the {what_en} {path}: chmod 600 it"
        )
    if about.st_nlink > 1:
        raise ConfigurationError(
            f"{what} {path} 另有硬链接，请复制为新文件后替换",
            f"the {what_en} {path} has another name (a hard link): copy it, and put the copy in its place",
        )
