"""The state of a software card from one reset to the next: its position in the files, and the granted rights."""

from __future__ import annotations

from dataclasses import dataclass, field

from cardio.filesystem.layouts.access import PIN
from simulators.card.apdu import CONDITIONS, NO_CURRENT_FILE, NO_FILE, OK, WRONG_P1_P2, CommandRefused
from simulators.card.files import CardApplication, CardFile
from simulators.card.quirks import CardQuirks

ENVIRONMENT = "SSSE"


@dataclass(slots=True)
class VolatileState:
    """The state that all commands share."""

    quirks: CardQuirks
    application: CardApplication | None = None
    file: CardFile | None = None
    pointer: int = 0
    """The number of the record that was last used; 0 for none."""
    rights: set[str] = field(default_factory=set)
    """The rights: PIN, and keys by name."""
    waiting: bytes = b""
    """The data that GET RESPONSE may fetch."""
    challenge: bytes | None = None
    """The challenge of the last command, if that was GET CHALLENGE: valid for the next command."""
    offered_challenge: bytes | None = None
    """The challenge of the command before this one."""

    def reset(self, application: CardApplication | None) -> None:
        """Reset the state, as after power on or a warm reset: no right is held, no answer waits."""
        self.application, self.file, self.pointer = application, None, 0
        self.rights.clear()
        self.waiting = b""
        self.challenge = self.offered_challenge = None

    def select(self, application: CardApplication | None) -> None:
        """Select a DF, or the root for None: rights end, even if it was the current one already."""
        self.rights &= {PIN} if self.quirks.pin_survives_selection else set()
        self.application, self.file, self.pointer = application, None, 0

    @property
    def application_id(self) -> str:
        return self.application.id if self.application is not None else ""

    def answer_with(self, data: bytes) -> bytes:
        """Return the answer with data to a command that has data itself: at once, or by GET RESPONSE."""
        if self.quirks.data_at_once:
            return data + OK
        self.waiting = data
        return bytes((0x61, len(data)))

    def current_file(self) -> CardFile:
        """Return the current file.

        Raises:
            CommandRefused: there is none (6986).
        """
        if self.file is None:
            raise CommandRefused(NO_CURRENT_FILE)
        return self.file

    def file_by_sfi(self, sfi: int) -> CardFile:
        """Return a file by its short identifier; it becomes the current one.

        Raises:
            CommandRefused: there is no such file, or the card accepts no short file identifiers.
        """
        if self.application is None:
            raise CommandRefused(CONDITIONS)
        if not self.quirks.sfi:
            raise CommandRefused(WRONG_P1_P2)
        file = self.application.by_sfi.get(sfi)
        if file is None:
            raise CommandRefused(NO_FILE)
        if file is not self.file:
            self.file, self.pointer = file, 0
        return file

    def file_and_offset(self, command: bytes) -> tuple[CardFile, int]:
        """Return the file and the offset of READ BINARY or UPDATE BINARY.

        P1 with its highest bit set is a short file identifier.

        Raises:
            CommandRefused: there is no such file.
        """
        p1, p2 = command[2], command[3]
        if not p1 & 0x80:
            return self.current_file(), p1 << 8 | p2
        if p1 & 0x60:
            raise CommandRefused(WRONG_P1_P2)
        return self.file_by_sfi(p1 & 0x1F), p2
