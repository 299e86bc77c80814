"""What a software card knows from one reset to the next: where it stands and what it has been shown."""

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

    manners: CardQuirks
    application: CardApplication | None = None
    file: CardFile | None = None
    pointer: int = 0
    """The number of the record last used; 0 for none."""
    rights: set[str] = field(default_factory=set)
    """PIN, and keys by name."""
    waiting: bytes = b""
    """What GET RESPONSE may fetch."""
    challenge: bytes | None = None
    """What the last command gave, if that was GET CHALLENGE: good for the next one."""
    offered_challenge: bytes | None = None
    """What the command before this one gave."""

    def reset(self, application: CardApplication | None) -> None:
        """Power on or warm reset: no right held, no answer waiting."""
        self.application, self.file, self.pointer = application, None, 0
        self.rights.clear()
        self.waiting = b""
        self.challenge = self.offered_challenge = None

    def enter(self, application: CardApplication | None) -> None:
        """A DF is selected, None for the root: rights end, even where it was the current one already."""
        self.rights &= {PIN} if self.manners.pin_survives_selection else set()
        self.application, self.file, self.pointer = application, None, 0

    @property
    def application_id(self) -> str:
        return self.application.id if self.application is not None else ""

    def give(self, data: bytes) -> bytes:
        """Data in answer to a command that has data itself: at once, or by GET RESPONSE."""
        if self.manners.data_at_once:
            return data + OK
        self.waiting = data
        return bytes((0x61, len(data)))

    def current_file(self) -> CardFile:
        """Raises:
        CommandRefused: 6986.
        """
        if self.file is None:
            raise CommandRefused(NO_CURRENT_FILE)
        return self.file

    def file_by_sfi(self, sfi: int) -> CardFile:
        """The file becomes the current one.

        Raises:
            CommandRefused: there is none, or the card takes no short file identifiers.
        """
        if self.application is None:
            raise CommandRefused(CONDITIONS)
        if not self.manners.sfi:
            raise CommandRefused(WRONG_P1_P2)
        file = self.application.by_sfi.get(sfi)
        if file is None:
            raise CommandRefused(NO_FILE)
        if file is not self.file:
            self.file, self.pointer = file, 0
        return file

    def file_and_offset(self, command: bytes) -> tuple[CardFile, int]:
        """Return what READ BINARY and UPDATE BINARY mean: P1 with its highest bit set is a short file identifier.

        Raises:
            CommandRefused: there is no such file.
        """
        p1, p2 = command[2], command[3]
        if not p1 & 0x80:
            return self.current_file(), p1 << 8 | p2
        if p1 & 0x60:
            raise CommandRefused(WRONG_P1_P2)
        return self.file_by_sfi(p1 & 0x1F), p2
