"""No image of this process on a disk: its memory may hold a person's data, a PIN, or what a key file says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_FILTER = Path("/proc/self/coredump_filter")


def forbid_core_dumps() -> None:
    """Have the system write no core dump of this process and of those that it starts, as far as the system can.

    The limit counts for dumps to a file. A program that takes dumps from the kernel by a pipe (core(5)) is not bound by
    it: the filter leaves the heap and the stacks out of what that one gets.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        _FILTER.write_text("0", encoding="ascii")
