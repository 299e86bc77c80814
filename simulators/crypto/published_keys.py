"""The published test keys: the roots of every software card, PSAM and HSM. They protect nothing, and look like it.

A root is ASCII: ``TEST``, the version group, ``D`` (3DES) or ``S`` (SM4), the key's name, and dots up to sixteen bytes.
A root of eight bytes has only the last two characters of its name: ``TEST1DIRK.......``, ``TEST1D01`` for STKDF01.

DES ignores the lowest bit of each byte. So 3DES roots that differ only there are one key, as those of versions 2 and 3,
or of UK2DF01 and UK3DF01. SM4 roots are all different.
"""

from __future__ import annotations

from collections.abc import Iterable

from cardio.filesystem.layouts.loader import GENERATIONS, layout_of
from cardio.filesystem.layouts.model import Key

TERMINAL_NUMBER = "000000009999"
"""The terminal number of the test keys: no region has the code 000000."""
ALGORITHMS = ("3DES", "SM4")


def root_key(name: str, algorithm: str, length: int, version: int = 1) -> bytes:
    """Return the root of a key.

    Args:
        name: the key's name in the layout.
        algorithm: the algorithm.
        length: the key's length in the layout, in bytes; SM4 keys always have sixteen.
        version: the version group.
    """
    beginning = f"TEST{version}{'S' if algorithm == 'SM4' else 'D'}"
    if algorithm == "3DES" and length == 8:
        return (beginning + name[-2:]).encode("ascii")
    return (beginning + name).ljust(16, ".").encode("ascii")


def published_key_file() -> str:
    """Return the key file with the roots of every key that any generation's layout names."""
    return key_file({key.name: key for generation in GENERATIONS for key in layout_of(generation).keys}.values())


def key_file(keys: Iterable[Key]) -> str:
    """Return a key file for the library's soft SAM with the roots of these keys."""
    listed = list(keys)
    lines = [
        "# 公开的测试密钥，仅用于模拟卡 / published test keys, for software cards only",
        "levels = 3",
        f'terminal_number = "{TERMINAL_NUMBER}"',
    ]
    for algorithm in ALGORITHMS:
        lines += ["", f"[keys.{algorithm}]"]
        for key in listed:
            groups = (
                f'{version} = "{root_key(key.name, algorithm, key.length, version).hex().upper()}"'
                for version in range(1, key.versions + 1)
            )
            lines.append(f"{key.name} = {{ {', '.join(groups)} }}")
    return "\n".join(lines) + "\n"
