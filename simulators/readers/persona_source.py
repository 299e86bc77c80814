"""The readers that are named after personas: ``sim:adult`` has that persona's card in it."""

from __future__ import annotations

from collections.abc import Sequence

from cardio.readers.base import Emit, Reader, Watch
from simulators.personas.persona import find_persona, is_shipped, personas
from simulators.readers.software_reader import SoftwareReader, SoftwareReaders


class PersonaReaders:
    """The readers: one for each shipped persona, and one for a user's own persona by its path.

    Cards are made on request.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def readers(self) -> Sequence[Reader]:
        return [SoftwareReader(self._prefix + persona.id, persona.card()) for persona in personas().values()]

    def reader(self, name: str) -> SoftwareReader | None:
        """Return the reader of a persona.

        Raises:
            ConfigurationError: the user's own file is wrong.
        """
        wanted = name.removeprefix(self._prefix)
        if not is_shipped(wanted) and not wanted.endswith(".toml"):
            return None
        return SoftwareReader(name, find_persona(wanted).card())

    def watch(self, emit: Emit) -> Watch:
        return SoftwareReaders(
            SoftwareReader(r.name, find_persona(r.name.removeprefix(self._prefix)).card()) for r in self.readers()
        ).watch(emit)
