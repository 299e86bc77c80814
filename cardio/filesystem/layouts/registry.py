"""The choice of a card's layout: its generation's, or its region's where the region extends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cardio.config.paths import config_folder
from cardio.errors import LayoutError
from cardio.filesystem.layouts.loader import (
    GENERATIONS,
    SHIPPED,
    extended_layouts,
    generation_of,
    layout_of,
    load_layout,
    read_toml,
)
from cardio.filesystem.layouts.model import Layout


@dataclass(frozen=True, slots=True)
class Expansion:
    """A region's file and the regions that it is for. It is read in full only when a card of these regions is read."""

    path: Path
    regions: tuple[str, ...]
    generations: tuple[int, ...]

    @classmethod
    def load(cls, path: Path) -> Expansion:
        """Read which regions and generations a file is for.

        Raises:
            LayoutError: the file cannot be read, or does not say which layouts it extends and which regions it is for.
        """
        _, document = read_toml(path)
        regions = document.get("regions")
        if not isinstance(regions, list) or not regions or not all(_is_region(region) for region in regions):
            raise LayoutError(
                f"{path.name}：regions 应列出行政区划代码的前几位",
                f"{path.name}: regions must list the first digits of region codes",
            )
        named = extended_layouts(document)
        generations = tuple(generation for generation in GENERATIONS if f"{generation}.0" in named)
        if not generations:
            raise LayoutError(f'{path.name}：extends 应为 "2.0" 等', f'{path.name}: extends must be "2.0" or the like')
        return cls(path, tuple(regions), generations)


def _is_region(text: object) -> bool:
    return isinstance(text, str) and text.isdecimal() and 2 <= len(text) <= 6


def user_folder() -> Path:
    """Return the folder of the user's own layouts (``$XDG_CONFIG_HOME/cardio/layouts``)."""
    return config_folder() / "layouts"


@cache
def shipped_expansions() -> tuple[Expansion, ...]:
    return tuple(Expansion.load(path) for path in sorted((SHIPPED / "regions").glob("*.toml")))


@dataclass(slots=True)
class LayoutChoice:
    """The available layouts: the user's own before those that are shipped."""

    expansions: tuple[Expansion, ...] = ()
    problems: tuple[LayoutError, ...] = ()
    """The errors of the user's files that cannot be read. Cards of their regions are read with the national layout."""
    only: Layout | None = None
    """The one layout to use, whatever the card says."""
    _loaded: dict[tuple[Path, int], Layout] = field(default_factory=dict)

    @classmethod
    def installed(cls, folder: Path | None = None) -> LayoutChoice:
        """Return the shipped expansions, and before them those of a folder, by default the user's."""
        own: list[Expansion] = []
        problems: list[LayoutError] = []
        for path in sorted((folder or user_folder()).glob("*.toml")):
            try:
                own.append(Expansion.load(path))
            except LayoutError as error:
                problems.append(error)
        return cls((*own, *shipped_expansions()), tuple(problems))

    def choose(self, spec_version: str | None, region: str | None) -> Layout:
        """Return the layout for a card.

        Args:
            spec_version: 规范版本 as it stands on the card.
            region: the six digits that its 卡识别码 begins with.

        Raises:
            LayoutError: the region's file breaks the rules.
        """
        if self.only is not None:
            return self.only
        generation = generation_of(spec_version)
        fitting = [
            (len(prefix), expansion)
            for expansion in self.expansions
            for prefix in expansion.regions
            if generation in expansion.generations and (region or "").startswith(prefix)
        ]
        if not fitting:
            return layout_of(generation)
        longest = max(length for length, _ in fitting)
        expansion = next(expansion for length, expansion in fitting if length == longest)
        key = (expansion.path, generation)
        if key not in self._loaded:
            self._loaded[key] = load_layout(expansion.path, generation=generation)
        return self._loaded[key]


NATIONAL = LayoutChoice()
"""The national layouts alone."""
