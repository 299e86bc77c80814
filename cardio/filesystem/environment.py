"""The social security environment: the ways to reach it, and the algorithm that it names.

A card that answers SELECT with 9000 has proved nothing. If the FCI is returned, the name in it is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cardio.apdu.channel import Flow
from cardio.apdu.command import SHORT_MAXIMUM, CommandApdu
from cardio.apdu.commands import select_by_name, select_file
from cardio.apdu.fci import Fci
from cardio.apdu.status_word import StatusWord
from cardio.bilingual import Bilingual
from cardio.errors import CardGarbledError
from cardio.filesystem.capabilities import Algorithm, EnvironmentWay
from cardio.filesystem.layouts.model import Application
from cardio.filesystem.reading.attempt import send_or_malformed
from cardio.filesystem.recognition import another_name

_ROOT = 0x3F00
_ACCEPTED = (0x90, 0x61)


@dataclass(slots=True)
class Environment:
    """The selection of the social security environment (SSSE), and the content of its FCI."""

    application: Application
    meanings: Mapping[str, Algorithm]
    t1: bool
    atr: bytes = b""
    way: EnvironmentWay = EnvironmentWay.NAME
    """The known way to the environment; it is also used to enter it again."""
    fetched: bool = False
    named: Algorithm | None = None
    """The algorithm; None where the card names none."""
    proved: bool = False
    """True if the card has said that the selected application has the name of the environment."""
    problem: Bilingual | None = None
    _root_refusal: int | None = None
    """The status word of the root's refusal when it was selected on the way; None if it was accepted."""

    @property
    def ways(self) -> list[EnvironmentWay]:
        """Return the ways to look for the environment, in order."""
        return [way for way in EnvironmentWay if self.t1 or way is not EnvironmentWay.NAME_WITHOUT_LE]

    def try_way(self, way: EnvironmentWay, issuer_file: int, *, fetch: bool) -> Flow[int | None]:
        """Look for the environment by one way; return the status word of a refusal, None if it may be current.

        The ways are tried in their order: `ROOT` begins where `ROOT_FILE_ID` has ended. If the environment has to be
        current by itself, the issuer's file must be selectable there.

        Raises:
            NotASocialSecurityCardError: the card has selected another application, and names it.
        """
        known, self.way = self.way, way
        match way:
            case EnvironmentWay.CURRENT:
                refusal = yield from self._look_here(issuer_file)
            case EnvironmentWay.ROOT_FILE_ID:
                root = yield from send_or_malformed(self._by_file_id(_ROOT, False))
                self._root_refusal = None if root.sw1 in _ACCEPTED else root.status_word
                refusal = self._root_refusal
                if refusal is None:
                    refusal = yield from self._answer_to(self._by_file_id(self.application.file_id, fetch), fetch)
            case EnvironmentWay.ROOT:
                # The way before this one has selected the root.
                refusal = self._root_refusal
                if refusal is None:
                    refusal = yield from self._look_here(issuer_file)
            case _:
                refusal = yield from self.select(fetch=fetch)
        if refusal is not None:
            self.way = known
        return refusal

    def select(self, *, fetch: bool) -> Flow[int | None]:
        """Make the environment current by the known way; return the status word of a refusal.

        Raises:
            NotASocialSecurityCardError: the card has selected another application, and names it.
        """
        name = self.application.name or b""
        match self.way:
            case EnvironmentWay.NAME:
                # With T=1 the card returns the FCI, and Le must be sent.
                command = select_by_name(name, want_fci=fetch or self.t1)
            case EnvironmentWay.NAME_WITHOUT_LE:
                command = select_by_name(name, want_fci=False)
            case EnvironmentWay.FILE_ID:
                command = self._by_file_id(self.application.file_id, fetch)
            case EnvironmentWay.ROOT:
                command = self._by_file_id(_ROOT, fetch)
            case EnvironmentWay.ROOT_FILE_ID:
                root = yield self._by_file_id(_ROOT, False)
                if root.sw1 not in _ACCEPTED:
                    return root.status_word
                command = self._by_file_id(self.application.file_id, fetch)
            case EnvironmentWay.CURRENT:
                self.fetched = True  # no SELECT is sent, so no FCI can be fetched
                return None
        return (yield from self._answer_to(command, fetch))

    def select_again(self) -> Flow[int | None]:
        """Make the environment current again after another application was selected."""
        if self.way is EnvironmentWay.CURRENT:
            # It was current when the card was powered: either it is the root, or no command leads back to it.
            self.way = EnvironmentWay.ROOT
        refusal = yield from self.select(fetch=False)
        if refusal is not None and self.way is EnvironmentWay.FILE_ID:
            # An application may be unable to select its neighbour.
            self.way = EnvironmentWay.ROOT_FILE_ID
            refusal = yield from self.select(fetch=False)
        return refusal

    def _look_here(self, issuer_file: int) -> Flow[int | None]:
        """Select the issuer's file in the current application; return the status word of a refusal."""
        for p1 in (0x02, 0x00):
            response = yield from send_or_malformed(select_file(issuer_file, p1))
            if response.sw1 in _ACCEPTED:
                self.fetched = True  # the environment was not selected, so it gives no FCI
                return None
            if response.status_word not in (StatusWord.INCORRECT_P1_P2, StatusWord.WRONG_P1_P2):
                break
        return response.status_word

    def _answer_to(self, command: CommandApdu, fetch: bool) -> Flow[int | None]:
        response = yield command
        if response.sw1 not in _ACCEPTED:
            return response.status_word
        if response.data or fetch:
            self._evaluate_fci(response.data)
        return None

    def _by_file_id(self, file_id: int, fetch: bool) -> CommandApdu:
        command = select_file(file_id, 0x00)
        return command.with_expected_length(SHORT_MAXIMUM) if fetch or self.t1 else command

    def _evaluate_fci(self, raw: bytes) -> None:
        self.fetched = True
        if not raw:
            return
        try:
            fci = Fci.from_bytes(raw)
        except CardGarbledError:
            self.problem = Bilingual("应用选择信息无法解析，算法未知", "the answer to SELECT cannot be parsed")
            return
        self._compare(fci.name)
        if fci.algorithm_marker is not None:
            self.named = self.meanings.get(f"{fci.algorithm_marker:02X}")
            if self.named is None:
                number = f"{fci.algorithm_marker:02X}"
                self.problem = Bilingual(f"算法标识 {number} 未知", f"algorithm marker {number} is unknown")

    def _compare(self, name: bytes | None) -> None:
        """Compare the selected name with the wanted one. It may be longer (ISO/IEC 7816-4: by its beginning), or left
        out.
        """
        wanted = self.application.name or b""
        if not name or not wanted:
            return
        if name.startswith(wanted):
            self.proved = True
        elif self.way in (EnvironmentWay.NAME, EnvironmentWay.NAME_WITHOUT_LE):
            raise another_name(name, self.atr)
