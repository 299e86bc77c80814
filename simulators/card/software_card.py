"""The software card: files, commands and states of a social security card, after LB002-2000 and V2.0.

It takes command APDUs and answers as a T=0 card behind a reader does, with ``61xx`` and ``6Cxx``. It shares layouts
with the library, but no code that parses, builds or enciphers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from copy import deepcopy

from cardio.filesystem.layouts.model import Key, Purse
from simulators.card.apdu import (
    CONDITIONS,
    NO_CLASS,
    NO_COMMAND,
    NO_FILE,
    OK,
    WRONG_LENGTH,
    WRONG_P1_P2,
    CommandRefused,
    command_data,
    expected_length,
)
from simulators.card.authentication import CardAuthentication
from simulators.card.bank import SoftwareBankApplication
from simulators.card.files import CardApplication, CardFile
from simulators.card.keys import SoftwareCardKeys
from simulators.card.persistent_state import CardMemory, CardState, PurseState
from simulators.card.pin import PinCommands, packed
from simulators.card.pki import PkiApplication
from simulators.card.purse import CardPurse, opened
from simulators.card.quirks import CardQuirks
from simulators.card.read_commands import ReadCommands
from simulators.card.volatile_state import ENVIRONMENT, VolatileState
from simulators.card.write_commands import SECURED, CardWriting

_MF = 0x3F00
_MF_NAME = bytes.fromhex("315041592E5359532E4444463031")  # 1PAY.SYS.DDF01
_ALGORITHM_CODES = {"3DES": 1, "SSF33": 2, "SM4": 3}
_HISTORICAL_BYTES = 13
_NO_CITY = "000000"
_KEEP_DEBIT = frozenset({0xC0, 0x2C})
"""GET RESPONSE and DEBIT: any other command in between cancels what INITIALIZE has begun."""
_IDENTIFICATION_CODE = 0x01


class SoftwareCard:
    """One card. Not safe for several threads at once: a real slot serialises too."""

    def __init__(
        self,
        atr: bytes,
        applications: Sequence[CardApplication],
        *,
        quirks: CardQuirks | None = None,
        algorithm_marker: str | None = None,
        pin: str = "123456",
        random: Callable[[int], bytes] = secrets.token_bytes,
        keys: Sequence[Key] = (),
        algorithm: str = "3DES",
        memory: CardMemory | None = None,
        pki: PkiApplication | None = None,
        takes_debits: Purse | None = None,
        purse: PurseState | None = None,
        bank: SoftwareBankApplication | None = None,
    ) -> None:
        """Make a card.

        Args:
            atr: the card's ATR.
            applications: its applications.
            quirks: its quirks.
            algorithm_marker: the algorithm in the FCI (3DES, SSF33, SM4); None to omit it.
            pin: its PIN.
            random: returns random bytes.
            keys: the keys that it has by its layout; their values come from the published test roots.
            algorithm: the algorithm that it uses if the FCI names none.
            memory: keeps PIN, tries and written data beyond the life of this object.
            pki: its certificate application, if it has one.
            takes_debits: the application and the keys of debits, by its layout.
            purse: the purse of a new card.
            bank: its bank's application, if it has one.

        Raises:
            ConfigurationError: the memory is another card's.
        """
        self.atr = atr
        self.quirks = quirks or CardQuirks()
        self.applications = list(applications)
        self._algorithm_marker = algorithm_marker
        historical_bytes = atr[-_HISTORICAL_BYTES:]
        city_code = _city_code(self.applications)  # before the memory is loaded, because written data change no key
        found = memory.load(historical_bytes) if memory is not None else None
        self._state = found or CardState(
            historical_bytes=historical_bytes.hex().upper(), pin=packed(pin), pin_tries=self.quirks.pin_tries
        )
        self._state.recall(file for application in self.applications for file in application.by_id.values())

        def keep() -> None:
            if memory is not None:
                memory.store(self._state)

        card_keys = SoftwareCardKeys(keys, algorithm_marker or algorithm, historical_bytes, city_code, self.quirks)
        self._beside = [environment for environment in (pki, bank) if environment is not None]
        self._session = VolatileState(self.quirks)
        self._purse = self._make_purse(takes_debits, purse or PurseState(), card_keys, keep, random)
        authentication = CardAuthentication(self._session, card_keys, self._state, keep, random)
        self._handlers = self._commands(
            ReadCommands(self._session),
            authentication,
            PinCommands(self._session, authentication, self._state, keep),
            CardWriting(self._session, authentication, self._state, keep),
        )
        self._by_name = {app.label.encode("gb18030"): app for app in self.applications if app.label}
        self._by_name |= {app.name: app for app in self.applications if app.name}
        self._by_id = {app.file_id: app for app in self.applications}
        self.reset()

    def _commands(
        self, reading: ReadCommands, authentication: CardAuthentication, pin: PinCommands, writing: CardWriting
    ) -> dict[bytes, Callable[[bytes], bytes]]:
        """Return the handlers of all commands, by CLA and INS."""
        plain: dict[int, Callable[[bytes], bytes]] = {
            0xB2: reading.read_record,
            0xB0: reading.read_binary,
            0xA4: self._select,
            0xC0: self._get_response,
            0x84: authentication.get_challenge,
            0x82: authentication.external_authentication,
            0x88: authentication.internal_authentication,
            0x20: pin.verify,
        }
        writes: dict[int, Callable[[bytes], bytes]] = {
            0xDC: writing.update_record,
            0xE2: writing.append_record,
            0xD6: writing.update_binary,
        }
        handlers = {bytes((0x00, ins)): handler for ins, handler in (plain | writes).items()}
        handlers |= {b"\x80\x5e": pin.change, b"\x84\x24": pin.unblock_or_reload}
        if self._purse is not None:
            handlers |= self._purse.commands()
        if self.quirks.secure_messaging != "absent":
            handlers |= {bytes((SECURED, ins)): handler for ins, handler in writes.items()}
        return handlers

    def _make_purse(
        self,
        facts: Purse | None,
        purse: PurseState,
        keys: SoftwareCardKeys,
        keep: Callable[[], None],
        random: Callable[[int], bytes],
    ) -> CardPurse | None:
        application = next(
            (one for one in self.applications if facts is not None and one.id == facts.application), None
        )
        if facts is None or application is None:
            return None
        details = next((file for file in application.by_id.values() if file.details), None)
        if self._state.purse is None:
            self._state.purse = opened(purse, details, after=self.quirks.debit_number == "after")
        return CardPurse(self._session, keys, self._state, keep, random, facts, details)

    @property
    def _root(self) -> CardApplication | None:
        """Return the application that the root is, on cards whose root is one."""
        return self.applications[0] if "root" in self.quirks.environment_by else None

    @property
    def purse(self) -> PurseState | None:
        """Return the card's data about money, if it has any."""
        return self._state.purse

    def inherit_purse(self, before: SoftwareCard) -> None:
        """Copy the purse of another card: transaction numbers and details of a person's next card continue from it."""
        self._state.purse = deepcopy(before.purse)
        kept = {file.path: file for application in before.applications for file in application.by_id.values()}
        for application in self.applications:
            for file in application.by_id.values():
                if file.details and file.path in kept:
                    file.records = list(kept[file.path].records)

    @property
    def pin_tries_left(self) -> int:
        return self._state.pin_tries

    @property
    def challenge(self) -> bytes | None:
        """Return the challenge of the last GET CHALLENGE; any other command ends it."""
        return self._session.challenge

    def reset(self) -> None:
        """Reset the card, as after power on or a warm reset.

        Only the root is selected, no right is held, no answer waits.
        """
        self._session.reset(self.applications[0] if self.quirks.application_at_power_up else self._root)
        for environment in self._beside:
            environment.reset()
        self._forget_debit()

    def _forget_debit(self) -> None:
        if self._purse is not None:
            self._purse.forget()

    def transmit(self, command: bytes) -> bytes:
        """Return the answer to one command; any bytes are answered.

        Raises:
            OSError: the card's memory cannot be written.
        """
        session = self._session
        # Each application gets every SELECT: one that is not selected is not current any more.
        answers = [environment.transmit(command) for environment in self._beside]
        answer = next((one for one in answers if one is not None), None)
        if answer is not None:
            # Another environment is current, so nothing of the social security environment is.
            session.reset(None)
            self._forget_debit()
            return answer
        session.offered_challenge, session.challenge = session.challenge, None
        if len(command) < 4:
            return WRONG_LENGTH
        if command[1] not in _KEEP_DEBIT:
            self._forget_debit()
        handler = self._handlers.get(command[:2])
        if handler is None:
            return NO_CLASS if command[0] else NO_COMMAND
        if command[1] != 0xC0:
            session.waiting = b""
        try:
            return handler(command)
        except CommandRefused as refusal:
            return refusal.status_word

    # -- SELECT (选择文件) ----------------------------------------------------------------------

    def _select(self, command: bytes) -> bytes:
        p1, p2 = command[2], command[3]
        if p2 != 0x00:
            return WRONG_P1_P2
        data = command_data(command)
        if data is None:
            return WRONG_LENGTH
        if p1 == 0x04:
            return self._select_name(data)
        if p1 not in (0x00, 0x01, 0x02):
            return WRONG_P1_P2
        if len(data) != 2:
            return WRONG_LENGTH if data else self._select_root()
        file_id = int.from_bytes(data, "big")
        if p1 == 0x00 and file_id == _MF:
            return self._select_root()
        if p1 in (0x00, 0x01) and file_id in self._by_id:
            if p1 not in self.quirks.select_application_p1:
                return WRONG_P1_P2
            if self._by_id[file_id] is self.applications[0] and "file-id" not in self.quirks.environment_by:
                return NO_FILE
            return self._enter(self._by_id[file_id])
        if p1 == 0x01:
            return NO_FILE
        if p1 not in self.quirks.select_file_p1:
            return WRONG_P1_P2
        application = self._session.application
        file = application.by_id.get(file_id) if application else None
        if file is None:
            return NO_FILE
        self._session.file, self._session.pointer = file, 0
        return OK

    def _select_name(self, name: bytes) -> bytes:
        if name and name == _MF_NAME[: len(name)]:
            return self._select_root()
        application = self._by_name.get(name)
        if application is None:
            return NO_FILE
        if application is self.applications[0] and "name" not in self.quirks.environment_by:
            return NO_FILE
        if 0x04 not in self.quirks.select_application_p1 and application is not self.applications[0]:
            return WRONG_P1_P2
        return self._enter(application)

    def _select_root(self) -> bytes:
        self._session.select(self._root)
        return self._answer_fci(b"\x84" + bytes((len(_MF_NAME),)) + _MF_NAME)

    def _enter(self, application: CardApplication) -> bytes:
        self._session.select(application)
        name = application.name or application.file_id.to_bytes(2, "big")
        content = bytes((0x84, len(name))) + name
        own = b""
        if application.directory_sfi is not None:
            own += bytes((0x88, 0x01, application.directory_sfi))
        if self._algorithm_marker is not None and application is self.applications[0]:
            own += bytes((0x9F, 0x0C, 0x03, 0x86, 0x01, _ALGORITHM_CODES[self._algorithm_marker]))
        if own:
            content += bytes((0xA5, len(own))) + own
        return self._answer_fci(content)

    def _answer_fci(self, content: bytes) -> bytes:
        return self._session.answer_with(bytes((0x6F, len(content))) + content)

    # -- GET RESPONSE (获取响应) ----------------------------------------------------------------

    def _get_response(self, command: bytes) -> bytes:
        waiting = self._session.waiting
        if not waiting:
            return CONDITIONS
        if command[2] or command[3]:
            return WRONG_P1_P2
        asked = expected_length(command)
        if asked is None or asked > len(waiting):
            return bytes((0x6C, len(waiting)))
        self._session.waiting = left = waiting[asked:]
        return waiting[:asked] + (bytes((0x61, len(left))) if left else OK)


def _city_code(applications: Sequence[CardApplication]) -> str:
    """Return the 应用城市代码: the first six digits of the 卡识别码, from which this card's keys were made."""
    files: list[CardFile] = [
        file for app in applications if app.id == ENVIRONMENT for file in app.by_id.values() if file.file_id == 0xEF05
    ]
    codes = [record[2:5] for file in files for record in file.records if record[0] == _IDENTIFICATION_CODE]
    return codes[0].hex().upper() if codes else _NO_CITY
