"""A private /run and a private loopback for each worker of pytest-xdist, so that no two of them share a PC/SC service.

`scripts/isolated.sh` gives the whole run such namespaces (namespaces(7)) and says so by a variable. Only then does a
worker take its own: where the kernel makes no namespaces, the tests run one after the other.
"""

from __future__ import annotations

import ctypes
import os
import subprocess

ISOLATED = "CARDIO_TESTS_ISOLATED"
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000


def isolate_worker() -> None:
    """Take namespaces for the calling thread, and for all threads and programs that it starts from now on.

    Raises:
        OSError: the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
