"""Modules of the standard library that are slow to import, and seldom needed at once."""

from __future__ import annotations

import importlib
from typing import Any


class Lazy:
    """Stands for a module, and imports it when first asked for something of it.

    Only for what is first asked for where an import does no harm: where a function is
    memoized, or within a coroutine, whose loop has imported asyncio long ago.
    """

    def __init__(self, name: str) -> None:
        self.__name = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(importlib.import_module(self.__name), name)
        setattr(self, name, value)
        return value
