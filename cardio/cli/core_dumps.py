"""The ban on core dumps: this process's memory may hold a person's data, a PIN, or the content of a key file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_FILTER = Path("/proc/self/coredump_filter")


def forbid_core_dumps() -> None:
    """Forbid core dumps of this process and of those that it starts, as far as the system can.

    The limit applies to dumps to a file. It does not bind a program that receives dumps from the kernel by a pipe
    (core(5)): for that, the filter leaves the heap and the stacks out.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        _FILTER.write_text("0", encoding="ascii")
