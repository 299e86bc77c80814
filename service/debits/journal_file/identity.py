"""The identity of a file and its machine, which tells a journal from its copies."""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress
from pathlib import Path

from service.audit.chain import Chain
from service.debits.journal_file.marks import FileIdentity

_GET_VERSION = 0x80087601
"""The request ``FS_IOC_GETVERSION`` of linux/fs.h, for 64 bits: the generation of an inode."""
_MACHINE_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def identify(handle: int, chain: Chain) -> FileIdentity:
    """Return the identity of an open file.

    Raises:
        OSError: the file's data cannot be read.
    """
    about = os.fstat(handle)
    machine = _machine_id()
    return FileIdentity(
        machine=chain.content({"machine": machine})[:16] if machine else "",
        inode=about.st_ino,
        generation=_generation(handle),
        size=about.st_size,
        modified=about.st_mtime_ns,
    )


def _generation(handle: int) -> int:
    if not sys.platform.startswith("linux"):
        return 0
    import fcntl

    with suppress(OSError):  # a file system without generations
        answer = fcntl.ioctl(handle, _GET_VERSION, b"\0" * 8)
        return int(struct.unpack_from("I", answer)[0])
    return 0


def _machine_id() -> str:
    for path in _MACHINE_FILES:
        with suppress(OSError, ValueError):
            if found := path.read_text(encoding="ascii").strip():
                return found
    return ""
