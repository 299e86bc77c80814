"""The four PC/SC calls that take or give names of readers, by the names' own bytes.

pyscard 2.3 reads names as UTF-8 and writes them as ASCII (its helpers.c), so a reader with any other name can be
neither listed, watched nor connected (pyscard #106, #121). These calls go to the system's library by `ctypes`, on
pyscard's own contexts and handles, which are plain numbers of that library.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from cardio.errors import PcscUnavailableError

_LIBRARIES = {
    "linux": "libpcsclite.so.1",
    "darwin": "/System/Library/Frameworks/PCSC.framework/PCSC",
    "win32": "winscard.dll",
}
_ON_WINDOWS, _ON_MAC = sys.platform == "win32", sys.platform == "darwin"
# Windows has names in UTF-16; its functions end in W. DWORD is as wide as in pcsc-lite's own headers (wintypes.h).
_ENCODED = "utf-16-le" if _ON_WINDOWS else None
_SUFFIX = "W" if _ON_WINDOWS else ""
_Word: Any = ctypes.c_uint32 if _ON_WINDOWS or _ON_MAC else ctypes.c_ulong
_Handle: Any = ctypes.c_int32 if _ON_MAC else ctypes.c_void_p if _ON_WINDOWS else ctypes.c_long
_CHARACTER_BYTES = 2 if _ON_WINDOWS else 1
_ATR_BYTES = 36 if _ON_WINDOWS else 33
_ENOUGH_CHARACTERS = 4_096
"""The size of the first buffer; pcsc-lite has at most 16 readers with names of at most 128 bytes."""
_LONGEST_NAME = 1_024
_E_INSUFFICIENT_BUFFER = 0x80100008
_ATTEMPTS = 3


class _ReaderState(ctypes.Structure):
    """SCARD_READERSTATE."""

    _pack_ = 1 if _ON_MAC else 0
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("user_data", ctypes.c_void_p),
        ("current_state", _Word),
        ("event_state", _Word),
        ("atr_length", _Word),
        ("atr", ctypes.c_ubyte * _ATR_BYTES),
    )


@cache
def _library() -> Any:
    try:
        load: Any = getattr(ctypes, "WinDLL", ctypes.CDLL)
        return load(_LIBRARIES.get(sys.platform, _LIBRARIES["linux"]))
    except OSError as error:
        raise PcscUnavailableError() from error


def _terminated(name: bytes) -> bytes:
    return name + bytes(_CHARACTER_BYTES)


def split_names(block: bytes, character_bytes: int = 1) -> list[bytes]:
    """Return the names in a block of them: each ends with a NUL, the last is followed by another."""
    names, begin = [], 0
    for end in range(0, len(block), character_bytes):
        if block[end : end + character_bytes] == bytes(character_bytes):
            if end == begin:
                break
            names.append(block[begin:end])
            begin = end + character_bytes
    return names


def list_readers(context: int) -> tuple[int, list[bytes]]:
    """Call SCardListReaders; return its return value, and the names."""
    function = getattr(_library(), f"SCardListReaders{_SUFFIX}")
    characters, result = _ENOUGH_CHARACTERS, 0
    for _ in range(_ATTEMPTS):  # readers may appear between two calls
        buffer = ctypes.create_string_buffer(characters * _CHARACTER_BYTES)
        length = _Word(characters)
        result = function(_Handle(context), None, buffer, ctypes.byref(length)) & 0xFFFFFFFF
        if result != _E_INSUFFICIENT_BUFFER:
            return result, split_names(buffer.raw, _CHARACTER_BYTES) if result == 0 else []
        characters = max(length.value, 2 * characters)
    return result, []


def status_change(
    context: int, milliseconds: int, known: Sequence[tuple[bytes, int]]
) -> tuple[int, list[tuple[int, bytes]]]:
    """Call SCardGetStatusChange; return its return value, and for each reader in order the state word and the ATR."""
    names = [_terminated(name) for name, _ in known]  # referenced here for the whole call
    states = (_ReaderState * len(known))()
    for state, name, (_, current) in zip(states, names, known, strict=True):
        state.name, state.current_state = name, current
    function = getattr(_library(), f"SCardGetStatusChange{_SUFFIX}")
    result = function(_Handle(context), _Word(milliseconds), states, _Word(len(known))) & 0xFFFFFFFF
    return result, [(state.event_state, bytes(state.atr[: min(state.atr_length, _ATR_BYTES)])) for state in states]


def connect(context: int, name: bytes, share_mode: int, protocols: int) -> tuple[int, int, int]:
    """Call SCardConnect; return its return value, the card's handle, and the protocol."""
    handle, protocol = _Handle(), _Word()
    function = getattr(_library(), f"SCardConnect{_SUFFIX}")
    result = function(
        _Handle(context), _terminated(name), _Word(share_mode), _Word(protocols),
        ctypes.byref(handle), ctypes.byref(protocol),
    )  # fmt: skip
    return result & 0xFFFFFFFF, handle.value or 0, protocol.value


def card_status(card: int) -> tuple[int, bytes]:
    """Call SCardStatus; return its return value, and the ATR of the card that a handle stands for."""
    name, name_length = ctypes.create_string_buffer(_LONGEST_NAME * _CHARACTER_BYTES), _Word(_LONGEST_NAME)
    state, protocol = _Word(), _Word()
    atr, atr_length = (ctypes.c_ubyte * _ATR_BYTES)(), _Word(_ATR_BYTES)
    function = getattr(_library(), f"SCardStatus{_SUFFIX}")
    result = function(
        _Handle(card), name, ctypes.byref(name_length), ctypes.byref(state), ctypes.byref(protocol),
        atr, ctypes.byref(atr_length),
    )  # fmt: skip
    return result & 0xFFFFFFFF, bytes(atr[: min(atr_length.value, _ATR_BYTES)])


def to_text(raw: bytes) -> str | None:
    """Return the name as text where the system itself has names as text; None where they are bytes."""
    return None if _ENCODED is None else raw.decode(_ENCODED, "replace")


def from_text(name: str) -> bytes | None:
    """Return the bytes of a name: the reverse of `to_text`."""
    return None if _ENCODED is None else name.encode(_ENCODED, "replace")
