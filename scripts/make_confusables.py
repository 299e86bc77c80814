"""The maker of service/sites/confusables.txt, which uses the installed ICU library (Debian: libicu72).

    .venv/bin/python -m scripts.make_confusables

ICU has Unicode's confusables.txt (UTS #39) in a form that only ICU reads, so ICU is asked for each character.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "service" / "sites" / "confusables.txt"
_HEAD = """\
# Characters that look like others, and what they look like: made by scripts/make_confusables.py from ICU {icu}.
# Data of Unicode Technical Standard #39, confusables.txt. Copyright 1991-2022 Unicode, Inc.; the Unicode License
# (https://www.unicode.org/license.txt) permits its use. Changed: only what NFD, NFKC and case folding leave alone,
# as hexadecimal code points; each line is a character, and the characters of its prototype.
"""


def main() -> None:
    library, suffix = _icu()
    status = ctypes.c_int(0)
    checker = _function(library, f"uspoof_open_{suffix}", ctypes.c_void_p)(ctypes.byref(status))
    lines = []
    for code in range(0x21, 0x110000):
        character = chr(code)
        if unicodedata.category(character) in ("Cc", "Cf", "Cn", "Co", "Cs"):
            continue
        if unicodedata.normalize("NFKC", character).casefold() != character:
            continue
        if unicodedata.normalize("NFD", character) != character:
            continue
        prototype = _skeleton(library, suffix, checker, character)
        if prototype != character:
            lines.append(f"{code:04X}\t{' '.join(f'{ord(one):04X}' for one in prototype)}")
    FILE.write_text(_HEAD.format(icu=suffix) + "\n".join(lines) + "\n", encoding="ascii")
    sys.stdout.write(f"{FILE}: {len(lines)} characters\n")


def _icu() -> tuple[ctypes.CDLL, str]:
    name = ctypes.util.find_library("icui18n")
    if name is None:
        raise SystemExit("there is no ICU library: apt-get install libicu72")
    found = re.search(r"\d+$", name)
    if found is None:
        raise SystemExit(f"{name} does not say its version")
    return ctypes.CDLL(name), found[0]


def _function(library: ctypes.CDLL, name: str, gives: Any) -> Any:
    function = getattr(library, name)
    function.restype = gives
    return function


def _skeleton(library: ctypes.CDLL, suffix: str, checker: Any, text: str) -> str:
    encoded, status = text.encode(), ctypes.c_int(0)
    room = ctypes.create_string_buffer(256)
    skeleton = _function(library, f"uspoof_getSkeletonUTF8_{suffix}", ctypes.c_int)
    # The kind of confusability (0) has no meaning any more, but ICU requires the argument.
    length = skeleton(ctypes.c_void_p(checker), 0, encoded, len(encoded), room, len(room), ctypes.byref(status))
    if status.value > 0:
        raise SystemExit(f"ICU says {status.value} of U+{ord(text):04X}")
    return room.raw[:length].decode()


if __name__ == "__main__":
    main()
