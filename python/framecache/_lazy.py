"""Modules that are imported when first asked for something, so that importing framecache
is quick.

An import takes the module's lock. Were one going on in another thread while this process
forks, the lock would be taken for ever in the child; so a fork waits for it.
"""

from __future__ import annotations

import os
import sys
from _thread import RLock

from ._types import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_importing = RLock()
os.register_at_fork(
    before=_importing.acquire,
    after_in_parent=_importing.release,
    after_in_child=_importing.release,
)


def load(name: str) -> Any:
    """A module, imported if need be; ``"._values"`` is one of this package."""
    if name[0] == ".":
        name = __package__ + name
    with _importing:
        __import__(name)
    return sys.modules[name]


class _Lazy:
    """Stands for a module in another's namespace, until it is asked for something."""

    def __init__(self, namespace: dict[str, Any], name: str) -> None:
        self.__namespace = namespace
        self.__name = name

    def __getattr__(self, attribute: str) -> Any:
        module = load(self.__name)
        self.__namespace[self.__name.lstrip(".")] = module
        return getattr(module, attribute)


def lazily(namespace: dict[str, Any], *names: str) -> None:
    """Binds modules in a module's ``globals()``, without importing them yet.

    Those of this package import none but the standard library's by themselves, so that
    nobody who forks can hold the lock of one that is being imported.
    """
    for name in names:
        namespace[name.lstrip(".")] = _Lazy(namespace, name)
