"""A transport that knows one conversation by heart: for tests of code that talks to cards."""

from __future__ import annotations

from collections.abc import Iterable

from cardio.apdu.channel import TransmissionProtocol


class Transcript:
    """Answers the commands it expects, in order, and fails on any other.

    >>> card = Transcript([("00A4000002EF05", "9000")])
    >>> card.transmit(bytes.fromhex("00A4000002EF05")).hex()
    '9000'
    """

    def __init__(
        self,
        exchanges: Iterable[tuple[str, str]],
        protocol: TransmissionProtocol = TransmissionProtocol.T0,
    ) -> None:
        """Args: pairs of command and answer, in hex (blanks are allowed)."""
        self._expected = [(bytes.fromhex(command), bytes.fromhex(answer)) for command, answer in exchanges]
        self._next = 0
        self.protocol = protocol

    def transmit(self, command: bytes) -> bytes:
        if self._next >= len(self._expected):
            raise AssertionError(f"a command after the last one: {command.hex().upper()}")
        expected, answer = self._expected[self._next]
        if command != expected:
            raise AssertionError(
                f"command {self._next + 1}: expected {expected.hex().upper()}, got {command.hex().upper()}"
            )
        self._next += 1
        return answer

    @property
    def finished(self) -> bool:
        return self._next == len(self._expected)
