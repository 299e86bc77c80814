"""A transport with a fixed list of exchanges, for tests of code that talks to cards."""

from __future__ import annotations

from collections.abc import Iterable

from cardio.apdu.channel import TransmissionProtocol


class Transcript:
    """A transport that answers the commands that it expects, in order, and fails on any other.

    >>> card = Transcript([("00A4000002EF05", "9000")])
    >>> card.transmit(bytes.fromhex("00A4000002EF05")).hex()
    '9000'
    """

    def __init__(
        self,
        exchanges: Iterable[tuple[str, str]],
        protocol: TransmissionProtocol = TransmissionProtocol.T0,
    ) -> None:
        """Set up at the first exchange.

        Args:
            exchanges: pairs of command and answer, in hex (blanks are allowed).
            protocol: the protocol that it claims.
        """
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
