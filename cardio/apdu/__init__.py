"""Commands and answers (ISO/IEC 7816-4), their transport, and their names.

Example:
    >>> from cardio.apdu import CommandApdu, ResponseApdu, describe
    >>> CommandApdu.from_bytes(bytes.fromhex("00B2020400"))  # READ RECORD 2 of the current file
    CommandApdu(00B20204 Lc=0 Le=256)
    >>> describe(ResponseApdu.from_bytes(bytes.fromhex("6A83")).status_word).zh
    '未找到记录'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cardio.public.lazy_imports import import_lazily

if TYPE_CHECKING:
    from cardio.apdu.channel import Channel as Channel
    from cardio.apdu.channel import Flow as Flow
    from cardio.apdu.channel import TransmissionProtocol as TransmissionProtocol
    from cardio.apdu.channel import Transport as Transport
    from cardio.apdu.command import CommandApdu as CommandApdu
    from cardio.apdu.response import ResponseApdu as ResponseApdu
    from cardio.apdu.status_word import StatusWord as StatusWord
    from cardio.apdu.status_word import describe as describe
    from cardio.apdu.trace import Exchange as Exchange

_HOMES = {
    "Channel": "channel",
    "CommandApdu": "command",
    "Exchange": "trace",
    "Flow": "channel",
    "ResponseApdu": "response",
    "StatusWord": "status_word",
    "TransmissionProtocol": "channel",
    "Transport": "channel",
    "describe": "status_word",
}
__all__ = sorted(_HOMES)
__getattr__ = import_lazily(__name__, _HOMES)
