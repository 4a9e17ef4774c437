"""Frames that hypothesis makes, of all dtypes: equal through pandas, polars, pyarrow."""

import datetime
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

import framecache
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from polars.testing import assert_frame_equal as assert_polars_equal

BOUNDED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
TIMES = st.times().map(lambda time: time.replace(fold=0))
INSTANT = st.integers(-(2**40), 2**40)


@pytest.fixture(scope="module")
def shared() -> Iterator[framecache.Cache]:
    path = tempfile.mkdtemp(prefix="framecache-test-", dir="/dev/shm")
    with framecache.Cache(f"{path}/cache", budget="256MiB", capacity=1024) as cache:
        yield cache
        assert [info["key"] for info in cache.infos() if info["leased"]] == []
    shutil.rmtree(path)


def integers(bits: int, signed: bool = True) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (
        st.integers(0, 2**bits - 1)
    )  # fmt: skip


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


ARRAY_KINDS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    *((f"int{b}", integers(b)) for b in (8, 16, 32, 64)),
    *((f"uint{b}", integers(b, False)) for b in (8, 16, 32, 64)),
    ("float32", st.floats(width=32)), ("float64", st.floats()), ("bool", st.booleans()),
    ("complex128", st.complex_numbers(allow_nan=False)),
    *((f"datetime64[{u}]", INSTANT) for u in ("s", "ms", "us", "ns")),
    *((f"timedelta64[{u}]", INSTANT) for u in ("s", "ms", "us", "ns")),
    ("Int16", maybe(integers(16))), ("UInt64", maybe(integers(64, False))),
    ("Float64", maybe(st.floats(allow_nan=False))), ("boolean", maybe(st.booleans())),
    ("str", maybe(TEXT)), ("string", maybe(TEXT)), ("category", maybe(TEXT)),
    ("int32[pyarrow]", maybe(integers(32))),
    ("large_string[pyarrow]", maybe(TEXT)),
]  # fmt: skip
OBJECT_KINDS: list[st.SearchStrategy[Any]] = [
    TEXT, st.binary(max_size=9), st.booleans(), integers(64),
    st.floats(allow_nan=False), st.dates(), TIMES, st.uuids(),
    st.decimals(-(10**6), 10**6, allow_nan=False, places=3),
]  # fmt: skip


UNITS = ("s", "ms", "us", "ns")
SECONDS = st.integers(-(2**33), 2**33)
ZONES = (
    "UTC", "Europe/Paris", "Asia/Kolkata", "America/St_Johns",
    datetime.timezone(-datetime.timedelta(minutes=90)),
)  # fmt: skip
FREQUENCIES = ("D", "h", "M", "Q-NOV", "W-TUE", "Y-MAR", "ms", "3h", "2D")
CLOSED = ("left", "right", "both", "neither")


@st.composite
def numbers(draw: st.DrawFn, rows: int, some: st.SearchStrategy[int] = SECONDS) -> Any:
    """Instants or ordinals, some of them missing."""
    nat = np.iinfo("i8").min
    items = draw(st.lists(some | st.just(nat), min_size=rows, max_size=rows))
    return np.array(items, dtype="i8")


@st.composite
def zoned(draw: st.DrawFn, rows: int) -> Any:
    unit, zone = draw(st.sampled_from(UNITS)), draw(st.sampled_from(ZONES))
    instants = draw(numbers(rows)).view(f"M8[{unit}]")
    return pd.Series(pd.DatetimeIndex(instants).tz_localize("UTC").tz_convert(zone))


@st.composite
def periods(draw: st.DrawFn, rows: int) -> Any:
    ordinals = draw(numbers(rows, st.integers(-(2**15), 2**15)))
    dtype = pd.PeriodDtype(draw(st.sampled_from(FREQUENCIES)))
    return pd.Series(pd.arrays.PeriodArray(ordinals, dtype=dtype))


@st.composite
def intervals(draw: st.DrawFn, rows: int) -> Any:
    kind = draw(st.sampled_from(["i8", "f8", "M8[us]", "M8[ns]", "m8[ns]", "m8[s]"]))
    zone = draw(maybe(st.sampled_from(ZONES))) if kind[0] == "M" else None
    left = draw(numbers(rows, st.integers(-(2**31), 2**31)))
    if kind == "i8":
        left = np.where(left < -(2**40), 0, left)
    right = np.where(left < -(2**40), left, left + draw(st.integers(0, 99)))
    sides = [
        pd.Index(np.where(side < -(2**40), np.nan, side) if kind == "f8"
                 else side.view(kind))
        for side in (left, right)
    ]  # fmt: skip
    if zone is not None:
        sides = [side.tz_localize("UTC").tz_convert(zone) for side in sides]
    closed = draw(st.sampled_from(CLOSED))
    return pd.Series(pd.arrays.IntervalArray.from_arrays(*sides, closed=closed))


@st.composite
def columns(draw: st.DrawFn, rows: int) -> Any:
    if draw(st.integers(0, 3)) == 0:
        return draw(draw(st.sampled_from([zoned, periods, intervals]))(rows))
    if draw(st.booleans()):
        values = maybe(draw(st.sampled_from(OBJECT_KINDS)))
        items = draw(st.lists(values, min_size=rows, max_size=rows))
        return pd.Series(items, dtype=object)
    dtype, values = draw(st.sampled_from(ARRAY_KINDS))
    items = draw(st.lists(values, min_size=rows, max_size=rows))
    if "64[" in dtype:
        return pd.Series(np.array(items, dtype="i8").view(dtype))
    return pd.Series(pd.array(items, dtype=dtype))


LABELS = TEXT.filter(lambda text: "\0" not in text) | st.integers(-9, 9)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(0, 12))
    labels = draw(st.lists(LABELS, max_size=4))
    frame = pd.concat(
        [draw(columns(rows)) for _ in labels] or [pd.Series(range(rows))], axis=1
    )
    if labels:
        frame.columns = pd.Index(labels, dtype=object)
    if draw(st.booleans()):
        frame.index = pd.Index(draw(columns(rows)), name=draw(maybe(TEXT)))
    return frame


@BOUNDED
@given(frames(), st.sampled_from(["cow", "readonly", "copy"]))
def test_pandas(shared: framecache.Cache, frame: pd.DataFrame, mode: str) -> None:
    with shared.put("k", frame) as stored:
        back = stored.to_pandas(mode)
        assert_frame_equal(back, frame)
        pa.table(stored).validate(full=True)
        middle = len(frame) // 2
        assert_frame_equal(stored.slice(middle).to_pandas(mode), frame.iloc[middle:])
        del back


POLARS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pl.Int8, integers(8)), (pl.UInt64, integers(64, False)), (pl.Float64, st.floats()),
    (pl.Boolean, st.booleans()), (pl.String, TEXT), (pl.Binary, st.binary(max_size=9)),
    (pl.Date, st.dates()), (pl.Time, TIMES),
    (pl.Datetime("us"), st.datetimes().map(lambda t: t.replace(fold=0))),
    (pl.List(pl.Int64), st.lists(integers(64))),
    (pl.Categorical, TEXT),
]  # fmt: skip


@BOUNDED
@given(st.data(), st.integers(0, 12))
def test_polars(shared: framecache.Cache, data: st.DataObject, rows: int) -> None:
    kinds = data.draw(st.lists(st.sampled_from(POLARS), max_size=4))
    frame = pl.DataFrame([
        pl.Series(
            f"c{n}", data.draw(st.lists(maybe(v), min_size=rows, max_size=rows)), dtype=d
        )
        for n, (d, v) in enumerate(kinds)
    ])  # fmt: skip
    with shared.put("k", frame) as stored:
        assert_polars_equal(stored.to_polars(), frame)


ARROW: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int32(), integers(32)), (pa.large_string(), TEXT), (pa.bool_(), st.booleans()),
    (pa.large_binary(), st.binary(max_size=9)), (pa.date32(), st.dates()),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.large_list(pa.int64()), st.lists(maybe(integers(64)))),
    (pa.struct([("a", pa.int64())]), st.fixed_dictionaries({"a": maybe(integers(64))})),
    (pa.decimal128(12, 3), st.decimals(-(10**6), 10**6, places=3)),
]  # fmt: skip


@BOUNDED
@given(st.data(), st.integers(0, 12))
def test_pyarrow(shared: framecache.Cache, data: st.DataObject, rows: int) -> None:
    kinds = data.draw(st.lists(st.sampled_from(ARROW), min_size=1, max_size=4))
    table = pa.table({
        f"c{n}": pa.array(data.draw(st.lists(maybe(v), min_size=rows, max_size=rows)), d)
        for n, (d, v) in enumerate(kinds)
    })  # fmt: skip
    with shared.put("k", table) as stored:
        assert stored.to_arrow().equals(table)
