"""The user's desktop: it starts the browser with a link, and shows a problem if there is no terminal."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

from cardio.errors import CardioError
from service.cli.user_unit import user_manager_has_display

_OPENERS = (("xdg-open",), ("gio", "open"), ("sensible-browser",), ("x-www-browser",))
_FAILS_WITHIN = 3.0
"""The time in which a program that passes the link to a browser ends; a program that is the browser itself goes on."""
_TITLE = "读卡台"
_FROM_UNIT = ("systemd-run", "--user", "--quiet", "--collect", "--wait")


def open_in_browser(link: str) -> bool:
    """Start the user's browser with a link; return True if one was started.

    ``$BROWSER`` comes first, as for other programs (several commands with colons, ``%s`` for the link).
    """
    if sys.platform in ("win32", "darwin"):
        import webbrowser

        return webbrowser.open(link)
    return any(_starts(words) for words in _commands(link))


def is_started_by_icon() -> bool:
    """Return True if there is a desktop and no terminal."""
    has_terminal = any(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return _has_display() and not has_terminal


def show_problem(error: CardioError, launcher: tuple[str, ...] = ()) -> bool:
    """Show an error in a window.

    Args:
        error: the error.
        launcher: a command that starts the window's program, whose words are appended.

    Returns:
        True if the desktop has a program for that, and it has started.
    """
    text = f"{error.detail}\n\n处理：{error.remedy}\n\n{error.detail_en} [{error.code}]\n{error.remedy_en}"
    programs = (
        ("zenity", "--error", "--no-markup", f"--title={_TITLE}", f"--text={text}"),
        ("kdialog", "--title", _TITLE, "--error", text),
        ("notify-send", "--urgency=critical", _TITLE, text),
    )
    return any(shutil.which(words[0]) is not None and _starts((*launcher, *words)) for words in programs)


def show_problem_from_unit(error: CardioError) -> bool:
    """Show an error on this user's desktop, from a unit; return True if a window has started.

    The unit may be older than the desktop session, and its filters are not for windows. So the user's service manager
    starts the program: it knows the display once there is a session.
    """
    if user_manager_has_display():
        return show_problem(error, _FROM_UNIT)
    return _has_display() and show_problem(error)


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _commands(link: str) -> Iterator[tuple[str, ...]]:
    for named in os.environ.get("BROWSER", "").split(os.pathsep):
        try:
            words = shlex.split(named)
        except ValueError:  # a quotation mark is missing
            continue
        if words:
            filled = tuple(word.replace("%s", link) for word in words)
            yield filled if "%s" in named else (*filled, link)
    # Without a display these would start a text browser, but there is no terminal for it.
    if _has_display():
        for authenticator in _OPENERS:
            yield (*authenticator, link)


def _starts(words: tuple[str, ...]) -> bool:
    """Start a program that outlives this one; return True if it runs, or has done its work already."""
    if shutil.which(words[0]) is None:
        return False
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell; the words are the user's own setting or fixed
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return False
    try:
        return process.wait(_FAILS_WITHIN) == 0
    except subprocess.TimeoutExpired:
        return True
