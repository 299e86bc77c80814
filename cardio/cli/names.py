"""The names in ``cardio shell``: applications, files and items by id, by Chinese or English title, or by a part
of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from cardio.errors import UsageError
from cardio.filesystem.address import file_path
from cardio.filesystem.layouts.model import Item, Layout

_LISTED = 12


@dataclass(frozen=True, slots=True)
class Named:
    """An object that a person may name."""

    key: str
    ids: tuple[str, ...]
    """The ids; they must be given as a whole."""
    titles: tuple[str, ...] = ()
    """Titles in Chinese, English and more; a part of one is enough if it fits nothing else."""

    def line(self, title: int) -> str:
        shown = self.titles[title : title + 1]
        return " ".join(dict.fromkeys((*self.ids[:1], *shown)))


Pools = tuple[tuple[Named, ...], ...]
"""The groups of objects in which a name is looked up, the nearest first."""


def choose(wanted: str, pools: Pools) -> str:
    """Return the key of the object that a name means: whole names go before parts of titles, near ones before far ones.

    Raises:
        UsageError: the name fits nothing, or several objects; the text lists the possible ones.
    """
    sought = wanted.casefold()
    for of_titles in (False, True):
        for pool in pools:
            found = {one.key: one for one in pool if _fits(one, sought, part=of_titles)}
            if len(found) == 1:
                return next(iter(found))
            if found:
                zh, en = _listed(found.values())
                raise UsageError(f"“{wanted}”对应多个：{zh}", f"{wanted!r} fits several: {en}")
    zh, en = _listed(_alike(sought, pools))
    raise UsageError(f"没有“{wanted}”；可选：{zh}", f"there is no {wanted!r}; there are: {en}")


def _fits(one: Named, sought: str, *, part: bool) -> bool:
    if part:
        return any(sought in title.casefold() for title in one.titles)
    return any(sought == name.casefold() for name in (*one.ids, *one.titles))


def _alike(sought: str, pools: Pools) -> list[Named]:
    """Return the objects with a similar name; if there are none, the near ones."""
    names = {name.casefold(): one for pool in pools for one in pool for name in (*one.ids, *one.titles)}
    close = [names[name] for name in get_close_matches(sought, names, n=5)]
    return list(dict.fromkeys(close)) or list(pools[0])


def _listed(found: Iterable[Named]) -> tuple[str, str]:
    listed = list(found)
    more = "…" if len(listed) > _LISTED else ""
    return (
        "、".join(one.line(0) for one in listed[:_LISTED]) + more,
        ", ".join(one.line(1) for one in listed[:_LISTED]) + more,
    )


def file_named(layout: Layout, wanted: str) -> str:
    """Return the path of a file that a person names: by path, by title, or by a part of one.

    Raises:
        NoSuchFileError: no file has this path.
        UsageError: the name fits no file, or several.
    """
    path = file_path(wanted)
    if path is not None:
        return layout.required_file(path).path
    for application in layout.applications:
        if wanted.strip().upper() == application.id:
            zh, en = _listed(files_of(layout, application.id))
            raise UsageError(
                f"{application.id} 是应用，它的文件有：{zh}", f"{application.id} is an application with: {en}"
            )
    return choose(wanted.strip(), (files_of(layout),))


def title_of(layout: Layout | None, place: str) -> tuple[str, str]:
    """Return the title of an application or file, Chinese and English."""
    if layout is None or not place:
        return "", ""
    found = layout.file(place) or layout.application(place)
    return found.title, found.title_en


def applications(layout: Layout) -> tuple[Named, ...]:
    return tuple(Named(one.id, (one.id,), (one.title, one.title_en)) for one in layout.applications)


def files_of(layout: Layout, application: str | None = None) -> tuple[Named, ...]:
    files = [file for file in layout.files() if application in (None, file.application)]
    return tuple(Named(file.path, (file.path, file.path[-4:]), (file.title, file.title_en)) for file in files)


def application_of(place: str) -> str:
    return place.partition("/")[0]


def _nearfiles_of(layout: Layout, place: str) -> Pools:
    return (files_of(layout, application_of(place)),) if place else ()


def file_pools(layout: Layout, place: str) -> Pools:
    return (*_nearfiles_of(layout, place), files_of(layout))


def place_pools(layout: Layout, place: str) -> Pools:
    return (*_nearfiles_of(layout, place), (*applications(layout), *files_of(layout)))


def item_pools(layout: Layout, place: str) -> Pools:
    file = layout.file(place)
    return (tuple(_named_items(file.items)),) if file else ()


def _named_items(items: Iterable[Item]) -> Iterator[Named]:
    for item in items:
        tag = () if item.tag is None else (f"{item.tag:02X}",)
        yield Named(item.name, (item.name, *tag), (item.label, item.label_en, item.name))
        yield from _named_items(item.items)
        if item.revised is not None:
            yield from _named_items((item.revised,))
