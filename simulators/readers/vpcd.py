"""A software card in a virtual PC/SC reader: the card's end of the vpcd protocol.

vpcd is a reader driver for pcscd that listens on TCP (vsmartcard-vpcd). Every message is two length bytes and its
content. A content of one byte is a control (0 power off, 1 power on, 2 reset, 4 give the ATR), any other is a command
APDU. Connecting inserts the card, closing the socket pulls it.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress

from cardio.errors import ReaderError
from simulators.card.base import AnyCard

DEFAULT_PORT = 35963
_POWER_OFF, _POWER_ON, _RESET, _GET_ATR = 0, 1, 2, 4
_CONNECT_SECONDS = 5.0
_SEEN_SECONDS = 10.0
"""The longest time until pcscd has seen the card. It polls every 400 ms; on a busy machine it takes longer."""
_LOOK_SECONDS = 0.1
# A mute card is there and fails when it is powered. vpcd asks for the ATR to see whether a card is there, and refuses
# one of more than 33 bytes when it powers it. (An answer of no bytes would make vpcd hang.)
_NO_ATR = bytes(40)


class NoVirtualReaderError(ReaderError):
    code = "no-virtual-reader"
    title = "没有虚拟读卡器"
    title_en = "There is no virtual reader"
    remedy = "请安装 vsmartcard-vpcd 并启动 pcscd，再核对 --vpcd 的地址。"
    remedy_en = "Install vsmartcard-vpcd and start pcscd, then check the address of --vpcd."


class VirtualReaderGoneError(ReaderError):
    code = "virtual-reader-gone"
    title = "虚拟读卡器已断开"
    title_en = "The virtual reader has gone"
    remedy = "请确认 pcscd 正在运行，然后重新执行本命令。"
    remedy_en = "See that pcscd runs, then run this command again."


class VpcdLink:
    """A card in one slot of vpcd, served on a thread of its own from `insert` to `remove`."""

    def __init__(self, card: AnyCard, host: str = "127.0.0.1", port: int = DEFAULT_PORT) -> None:
        self.card = card
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._asked = threading.Event()
        """An event that is set when the reader has asked something: it knows the card."""

    def insert(self) -> None:
        """Connect to the slot; pcscd sees the card at its next poll, within 400 ms.

        Raises:
            NoVirtualReaderError: no virtual reader listens there.
        """
        host, port = self._address
        try:
            self._socket = socket.create_connection(self._address, timeout=_CONNECT_SECONDS)
        except (OSError, UnicodeError) as error:
            raise NoVirtualReaderError(
                f"{host}:{port} 上没有虚拟读卡器（vpcd）：{error}",
                f"no virtual reader (vpcd) listens on {host}:{port}: {error}",
            ) from error
        self._asked.clear()
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(target=self._serve, args=(self._socket,), name="vpcd-card", daemon=True)
        self._thread.start()

    def wait_until_seen(self, seconds: float = _SEEN_SECONDS) -> None:
        """Wait until the reader has asked for the card: a connection alone proves nothing.

        Raises:
            NoVirtualReaderError: the program that listens there is no vpcd, or its slot has a card already.
        """
        end = time.monotonic() + seconds
        while not self._asked.wait(_LOOK_SECONDS):
            if time.monotonic() > end or not self.is_in:
                host, port = self._address
                raise NoVirtualReaderError(
                    f"{host}:{port} 上的程序没有询问卡片：该卡槽已有卡，或者它不是虚拟读卡器（vpcd）",
                    f"what listens on {host}:{port} asks for no card: its slot has one already, or it is no vpcd",
                )

    @property
    def is_in(self) -> bool:
        """Return True if the card is still in: neither pulled here, nor released by the reader."""
        return self._thread is not None and self._thread.is_alive()

    def remove(self) -> None:
        """Pull the card."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def wait(self) -> None:
        """Wait until the card is out: pulled here, or the reader has gone."""
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> VpcdLink:
        self.insert()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _serve(self, line: socket.socket) -> None:
        with suppress(OSError, EOFError):
            while True:
                message = _receive(line)
                if len(message) == 1:
                    self._asked.set()
                answer = self._answer(message)
                if answer is not None:
                    line.sendall(struct.pack(">H", len(answer)) + answer)

    def _answer(self, message: bytes) -> bytes | None:
        """Return the answer to one message; None for controls that have none."""
        if len(message) != 1:
            return self.card.transmit(message)
        control = message[0]
        if control == _GET_ATR:
            return self.card.atr or _NO_ATR
        if control in (_POWER_OFF, _POWER_ON, _RESET):
            self.card.reset()
        return None


def _receive(line: socket.socket) -> bytes:
    length: int = struct.unpack(">H", _receive_exactly(line, 2))[0]
    return _receive_exactly(line, length)


def _receive_exactly(line: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        # vpcd writes length and content separately and without NODELAY: a delayed acknowledgement would cost 40 ms a
        # message. The option is valid for one receive only, and exists on Linux only.
        if hasattr(socket, "TCP_QUICKACK"):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = line.recv(size - len(content))
        if not part:
            raise EOFError("vpcd has closed the line")
        content += part
    return content
