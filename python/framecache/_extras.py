"""Libraries that framecache does without until asked for what is theirs."""

from __future__ import annotations

import sys

from ._types import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# The least versions, as pyproject.toml has them; the extra has the library's name.
LEAST = {"dash": "4.4.1", "pandas": "2.2.2", "polars": "1.36.1", "pyarrow": "19"}

ready: set[str] = set()  # is installed, and of a version that will do


def numbers(version: str) -> tuple[int, ...]:
    """A version's numbers: those of "2.0.0rc1" are 2, 0, 0."""
    found = []
    for part in version.split(".")[:3]:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def too_old(name: str) -> str | None:
    """What is wrong with the version that is imported, if something is."""
    version = str(getattr(sys.modules.get(name), "__version__", LEAST[name]))
    if numbers(version) >= numbers(LEAST[name]):
        return None
    return (
        f"{name} {version} is too old, {LEAST[name]} or later is needed: "
        f"pip install -U 'framecache[{name}]'"
    )


def need(name: str, what: str) -> Any:
    """The library, imported.

    Raises
    ------
    ModuleNotFoundError
        It is not installed; the message says what needs it, and how to install it.
    ImportError
        It is too old.
    """
    try:
        module = __import__(name)
    except ModuleNotFoundError as error:
        if error.name not in (None, name):  # it is there, and lacks something itself
            raise
        raise ModuleNotFoundError(
            f"{what} needs {name}, which is not installed: "
            f"pip install 'framecache[{name}]'",
            name=name,
        ) from None
    if name not in ready:
        wrong = too_old(name)
        if wrong:
            raise ImportError(f"{what}: {wrong}", name=name)
        ready.add(name)
    return module
