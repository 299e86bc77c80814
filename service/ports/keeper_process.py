"""The process of a keeper (`service.ports.keeper`). It imports nothing of cardio, because it stays in memory."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

_LOOK_SECONDS = 5.0
"""The time between two looks whether the user is still logged in."""


def main(arguments: Sequence[str]) -> None:
    """Hold the inherited sockets until the user logs out.

    Args:
        arguments: the folder that systemd-logind gives a user and removes when the user's last session has ended
            (pam_systemd(8)). Empty where there is none: then the keeper stays until it is told to end.
    """
    os.chdir("/")  # the folder of the start can be removed or unmounted
    folder = arguments[0]
    began = _identity(folder)
    while began is None or _identity(folder) == began:
        time.sleep(_LOOK_SECONDS)


def _identity(folder: str) -> tuple[int, int] | None:
    """Return the file system and the number of a folder: a new session of the same user gets a new folder."""
    try:
        about = os.stat(folder)
    except OSError:
        return None
    return about.st_dev, about.st_ino


if __name__ == "__main__":
    main(sys.argv[1:])
