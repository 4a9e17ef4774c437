"""Values of every usual type have content: equal ones are one, look-alikes are not."""

import collections
import dataclasses
import datetime
import enum
import functools
import os
import pathlib
import subprocess
import sys
import threading
import zoneinfo
from typing import Any, NamedTuple

import framecache
import numpy as np
import pandas as pd
import pytest
from framecache import content_hash


class Color(enum.Enum):
    RED = 1
    BLUE = 2
    ALSO_RED = 1


class Paint(enum.Enum):
    RED = 1


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    A = "a"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Action(enum.Enum):
    RUN = threading.Lock()  # which has no content


class Point(NamedTuple):
    x: Any
    y: Any


Pair = collections.namedtuple("Pair", "x y")


@dataclasses.dataclass
class Order:
    name: Any
    items: Any = ()
    log: Any = dataclasses.field(default=None, compare=False)

    @functools.cached_property
    def size(self) -> int:
        return len(self.items)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    name: Any


@dataclasses.dataclass
class Scaled:
    x: int
    scale: dataclasses.InitVar[int] = 1

    def __post_init__(self, scale: int) -> None:
        self._scale = scale


class Derived(Order):
    """No dataclass of its own, so that what it holds is no field."""

    def __init__(self, name: Any, more: Any) -> None:
        super().__init__(name)
        self.more = more


class DerivedSlots(Slotted):
    __slots__ = ("__hidden", "more")

    def __init__(self, name: Any, more: Any, hidden: Any) -> None:
        super().__init__(name)
        object.__setattr__(self, "more", more)
        object.__setattr__(self, "_DerivedSlots__hidden", hidden)


UTC, BERLIN = datetime.UTC, zoneinfo.ZoneInfo("Europe/Berlin")
CET = datetime.timezone(datetime.timedelta(hours=1))
# Each is another value than all the others, however much alike they look.
DIFFERENT: list[Any] = [
    1, True, 1.0, 1 + 0j, 0j, -0.0, 0.0, complex(-0.0, 0.0), "1", b"1", bytearray(b"1"),
    memoryview(b"1"), memoryview(np.array([49], dtype="i4")), np.int8(1), np.bool_(True),
    Color.RED, Color.BLUE, Paint.RED, Number.ONE, Word.A, "a", Access.READ, Access.WRITE,
    Access.READ | Access.WRITE, Access(0), Action.RUN, "Color.RED", "RED",
    pathlib.Path("a"), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"),
    pathlib.Path("a/b"), pathlib.Path("/a"), pathlib.Path(os.fsdecode(b"\xff")),
    range(3), range(0, 3, 2), [0, 1, 2], (0, 1, 2), slice(3), slice(0, 3), slice(None),
    (None, 3, None), (1, 2), [1, 2], Point(1, 2), Pair(1, 2), Point(2, 1), Point(1, 2.0),
    {"x": 1, "y": 2}, {1, 2}, frozenset({1, 2}), frozenset({1, "2"}), frozenset(),
    {frozenset({1, 2}), frozenset({3})}, {frozenset({1, 3}), frozenset({2})},
    Order("a"), Order("a", [1]), Order("a", (1,)), Order("b"), Order(Order("a")),
    Derived("a", 1), Derived("a", 2), Slotted("a"), Slotted(1), DerivedSlots("a", 1, 2),
    DerivedSlots("a", 2, 2), DerivedSlots("a", 1, 1), Scaled(1), Scaled(1, 2), ["a", ()],
    {"name": "a", "items": ()}, UTC, CET, BERLIN, "UTC", "Europe/Berlin",
    zoneinfo.ZoneInfo("UTC"), datetime.datetime(2020, 1, 1),
    datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.datetime(2020, 1, 1, tzinfo=CET),
    datetime.datetime(2020, 1, 1, tzinfo=BERLIN), datetime.date(2020, 1, 1),
    pd.Timestamp("2020"), pd.Period("2020", "Y"), pd.Period("2020", "M"),
    pd.Period("2020-01-01", "D"), 2020, pd.Interval(0, 1), pd.Interval(0, 1, "left"),
    pd.Interval(0, 1.0), pd.Interval(0.0, 1.0), (0, 1, "right"), pd.Timedelta(1),
    pd.Interval(pd.Timestamp("2020"), pd.Timestamp("2021")), pd.NaT, pd.NA, None, ...,
    float("nan"), complex("nan"),
]  # fmt: skip


def test_no_two_of_these_count_as_one() -> None:
    for shape in (lambda v: v, lambda v: [v], lambda v: {"k": v}, Order):
        found: dict[bytes, Any] = {}
        for value in DIFFERENT:
            digest = content_hash(shape(value))
            assert digest not in found, (value, found[digest])
            found[digest] = value


def equal() -> list[Any]:
    """New objects at each call."""
    order = Order("a", [Point(Color.RED, {"k": pathlib.Path("a") / "b"})])
    return [
        order, 1 + 2j, bytearray(b"ab"), memoryview(bytearray(b"ab")), range(2, 9, 3),
        slice(1, None), Access.READ | Access.WRITE, Color(1), pathlib.Path("a//b"),
        Slotted(frozenset(["x", "y", "zz", 1, None])), Derived("a", {"b": 1, "a": 2}),
        pd.Period("2020-03", "M"), pd.Interval(pd.Timestamp(0), pd.Timestamp("2021")),
        {frozenset("abc"), frozenset("bcd"), "e"}, {("a", 1): {2}, Word.A: Number.ONE},
    ]  # fmt: skip


def test_equal_values_count_as_one() -> None:
    for one, other in zip(equal(), equal(), strict=True):
        assert content_hash(one) == content_hash(other)
    assert content_hash(Color.ALSO_RED) == content_hash(Color.RED)


def test_what_does_not_compare_is_no_content() -> None:
    quiet, noisy = Order("a"), Order("a", log=object())
    assert quiet == noisy and content_hash(quiet) == content_hash(noisy)
    assert quiet.size == 0  # which is remembered on it
    assert content_hash(quiet) == content_hash(noisy)


PRINT = """
import test_hash_types as t, framecache
print([framecache.content_hash(value).hex() for value in t.DIFFERENT + t.equal()])
"""


def test_every_process_finds_the_same() -> None:
    here = os.path.dirname(__file__)
    found = {
        subprocess.run(
            [sys.executable, "-c", PRINT], capture_output=True, check=True, cwd=here,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "77")
    }  # fmt: skip
    assert len(found) == 1


SPAWNED = """
import dataclasses, enum, multiprocessing, sys, typing
import framecache

class Color(enum.Enum):
    RED = 1

class Point(typing.NamedTuple):
    x: int

@dataclasses.dataclass
class Order:
    x: int

def found(_):
    return [framecache.content_hash(v).hex() for v in (Color.RED, Point(1), Order(1))]

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(found, [0]) == [found(0)]
    print("fine")
"""


def test_a_spawned_process_finds_the_same(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SPAWNED)
    out = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert out.stdout == "fine\n", out.stderr


class Plain:
    pass


class Text(str):
    pass


class Zone(datetime.tzinfo):
    pass


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Order("a", [Plain()]), r"\.items\[0\]: a .*Plain has no content"),
        (Point(1, Plain()), r"\.y: a .*Plain has no content"),
        (Derived("a", Plain()), r"\.more: a .*Plain has no content"),
        (Order, "a builtins.type has no content"),
        (Text("a"), "Text has no content"),
        (collections.OrderedDict(a=1), "OrderedDict has no content"),
        (slice(Plain(), 1), r"\.start: a .*Plain has no content"),
        (datetime.datetime(2020, 1, 1, tzinfo=Zone()), "Zone has no content"),
        (Zone(), "Zone has no content"),
    ],
)
def test_what_has_no_content_is_named(
    cache: framecache.Cache, value: Any, message: str
) -> None:
    @cache.memoize()
    def function(argument: Any) -> int:
        return 1

    with pytest.raises(TypeError, match=r"\['argument'\].*" + message):
        function(value)
    with pytest.raises(TypeError, match="value.*" + message):
        content_hash(value)


def test_arguments_of_memoized_functions(cache: framecache.Cache) -> None:
    calls = []

    @cache.memoize()
    def function(first: Any, *rest: Any, **named: Any) -> int:
        calls.append(first)
        return len(calls)

    for n in range(2):
        for value in equal():
            function(value)
            function(0, value, key=[value])
        assert len(calls) == 2 * len(equal()), n
