"""Where a user's own settings are (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from pathlib import Path


def config_folder() -> Path:
    """``$XDG_CONFIG_HOME/cardio``, else ``~/.config/cardio``; it need not exist."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cardio"
