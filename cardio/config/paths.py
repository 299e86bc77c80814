"""Where a user's own settings are (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from pathlib import Path

NO_HOME = Path("/nonexistent")
"""What Debian gives system users for a home: nothing is found there, and nothing can be made."""


def home_folder() -> Path:
    """The user's home; `NO_HOME` for a user who has none: a container's, or a service's."""
    try:
        return Path.home()
    except RuntimeError:
        return NO_HOME


def config_folder() -> Path:
    """``$XDG_CONFIG_HOME/cardio``, else ``~/.config/cardio``; it need not exist."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or home_folder() / ".config") / "cardio"
