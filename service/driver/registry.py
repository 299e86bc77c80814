"""The registry of all dialects: each is one file of this folder, ``NAME_dialect.py``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import service.driver
from service.driver.dialect import Dialect

_SUFFIX = "_dialect"


@cache
def dialects() -> Mapping[str, type[Dialect]]:
    """Return all dialects by name, in the order of their names."""
    found: dict[str, type[Dialect]] = {}
    for module in sorted(one.name for one in iter_modules(service.driver.__path__) if one.name.endswith(_SUFFIX)):
        for value in vars(import_module(f"{service.driver.__name__}.{module}")).values():
            if isinstance(value, type) and issubclass(value, Dialect) and value.__module__.endswith(module):
                found[value.name] = value
    return found
