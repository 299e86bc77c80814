"""The places of a user's own settings (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from pathlib import Path

NO_HOME = Path("/nonexistent")
"""The home of system users in Debian: it contains nothing, and nothing can be created in it."""


def home_folder() -> Path:
    """Return the user's home; `NO_HOME` for a user without one: a container's, or a service's."""
    try:
        return Path.home()
    except RuntimeError:
        return NO_HOME


def config_folder() -> Path:
    """Return ``$XDG_CONFIG_HOME/cardio``, else ``~/.config/cardio``; it need not exist."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or home_folder() / ".config") / "cardio"
