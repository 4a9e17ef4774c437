"""Everything public has a numpydoc docstring that agrees with its signature."""

import importlib
import inspect
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

import framecache
import pytest

MODULES = [
    "framecache",
    "framecache.testing",
    "framecache.prometheus",
    "framecache.dash",
    "framecache.dash.callback",
    "framecache.dash.enrich",
    "framecache.flask",
]
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)
ENTRY = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: : .+)?")
OWN = ("self", "cls")
SILENT = {"None", "Self", None}  # returns that need no words


def split(text: str) -> tuple[str, dict[str, str]]:
    """What comes first, and the sections by their titles."""
    first, *rest = SECTION.split(inspect.cleandoc(text))
    return first.strip(), dict(zip(rest[::2], rest[1::2], strict=True))


def entries(section: str) -> list[str]:
    found = []
    for line in section.splitlines():
        if match := ENTRY.fullmatch(line):
            found += [name.lstrip("*") for name in match[1].split(", ")]
    return found


def of_class(cls: type, home: str) -> Iterator[tuple[str, Any]]:
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        if name.startswith("_") or isinstance(member, (types.MemberDescriptorType, int)):
            continue  # of data
        if not next(c for c in cls.__mro__ if name in vars(c)).__module__.startswith(
            home
        ):
            continue  # Dash's own, or of another module here
        if isinstance(member, (staticmethod, classmethod)):
            member = member.__func__
        yield name, member


def public() -> Iterator[tuple[str, Any]]:
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        home = "framecache.dash" if ".dash" in module_name else "framecache"
        for name in module.__all__:
            thing = getattr(module, name)
            if not getattr(thing, "__module__", "").startswith(home):
                continue  # Dash's own, given on; or a type
            yield f"{module_name}.{name}", thing
            if inspect.isclass(thing) and not issubclass(thing, Exception):
                for member, value in of_class(thing, home):
                    yield f"{module_name}.{name}.{member}", value


PUBLIC = dict(public())
CALLS = {
    name: thing
    for name, thing in PUBLIC.items()
    if callable(thing) and not inspect.isclass(thing)
}


def parameters(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in OWN]


def refers(name: str, first: str) -> bool:
    """``As `Cache.put`.``: that one has the same parameters, and says what they are."""
    match = re.match(r"As `(?:(\w+)\.)?(\w+)`", first)
    if not match:
        return False
    cls = match[1] or name.split(".")[-2]
    other = getattr(getattr(framecache, cls), match[2])
    own, theirs = parameters(CALLS[name]), parameters(other)
    assert own == theirs, f"{name} takes {own}, {match[0]} {theirs}"
    return True


@pytest.mark.parametrize("name", PUBLIC)
def test_it_begins_with_a_sentence(name: str) -> None:
    text = PUBLIC[name].__doc__
    assert text, name
    first, _ = split(text)
    assert re.match(r"[A-Z`]", first)
    assert re.search(r"[.:]$", first.split("\n\n")[0]), first


@pytest.mark.parametrize("name", CALLS)
def test_its_parameters_are_those_of_the_signature(name: str) -> None:
    first, sections = split(CALLS[name].__doc__)
    if refers(name, first):
        return
    documented = entries(sections.get("Parameters", ""))
    assert sorted(documented) == sorted(parameters(CALLS[name]))


@pytest.mark.parametrize("name", CALLS)
def test_what_it_returns_is_said(name: str) -> None:
    function = CALLS[name]
    first, sections = split(function.__doc__)
    returned = getattr(function, "__annotations__", {}).get("return")
    if str(returned) in map(str, SILENT) or refers(name, first):
        return
    assert {"Returns", "Yields"} & set(sections)


def test_classes_with_a_constructor_of_their_own_say_what_it_takes() -> None:
    for name in ("Cache", "Namespace"):
        cls = getattr(framecache, name)
        _, sections = split(cls.__doc__)
        assert entries(sections["Parameters"]) == parameters(cls), name


def test_the_check_would_notice() -> None:
    def wrong(a: int, b: int) -> int:
        """Adds.

        Parameters
        ----------
        a : int
        c : int
        """
        return a + b

    first, sections = split(wrong.__doc__ or "")
    assert first == "Adds." and "Returns" not in sections
    assert entries(sections["Parameters"]) == ["a", "c"] != parameters(wrong)
