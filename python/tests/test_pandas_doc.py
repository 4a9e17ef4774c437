"""docs/pandas.md says what a column costs; each of its lines is shown by addresses."""

import datetime
import decimal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from versions import PANDAS_3

ROWS = 5_000
DOC = Path(__file__).parents[2] / "docs/pandas.md"


def table() -> dict[str, str]:
    """The lines of the table: dtype and cost."""
    lines = DOC.read_text().splitlines()
    first = lines.index("| dtype | out | how |") + 2
    found = {}
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[cells[0]] = cells[1]
    return found


class Text(str):
    pass


def objects(make: Callable[[int], Any]) -> Any:
    return pd.Series([make(n) for n in range(ROWS)], dtype=object)


def arrow(values: list[Any], kind: pa.DataType) -> Any:
    repeated = values * (ROWS // len(values))
    return pd.arrays.ArrowExtensionArray(pa.chunked_array([pa.array(repeated, kind)]))


def numbers(*dtypes: str) -> list[Any]:
    return [np.arange(ROWS).astype(dtype) for dtype in dtypes]


def nullable(*dtypes: str) -> list[Any]:
    values = [None if n % 3 == 0 else n % 2 for n in range(ROWS)]
    return [pd.array(values, dtype=dtype) for dtype in dtypes]


INTEGERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
ZONES = ("Europe/Paris", "UTC", datetime.timezone(datetime.timedelta(hours=3)))
UNITS = ("s", "ms", "us", "ns")
TEXTS = [f"text {n}" for n in range(ROWS)]
WITH_NAN = np.where(np.arange(ROWS) % 3 == 0, np.nan, np.arange(ROWS))
SAMPLES: dict[str, list[Any]] = {
    "int8 to int64, uint8 to uint64": numbers(*INTEGERS),
    "float16, float32, float64": [
        *numbers("f2", "f4", "f8"), WITH_NAN, WITH_NAN.astype("f4"),
    ],
    "bool": [np.arange(ROWS) % 2 == 0],
    "datetime64, timedelta64 of s, ms, us, ns": [
        *(np.arange(ROWS).astype(f"M8[{unit}]") for unit in UNITS),
        *(np.arange(ROWS).astype(f"m8[{unit}]") for unit in UNITS),
        pd.Series(pd.date_range("2020", periods=ROWS)).mask(WITH_NAN != WITH_NAN),
    ],
    "datetime64 with a zone": [
        pd.date_range("2020", periods=ROWS, freq="h", tz=zone, unit=unit)
        for zone in ZONES
        for unit in ("us", "ns")
    ],
    "complex64, complex128": numbers("c8", "c16"),
    "Int8 to UInt64, Float32, Float64": nullable("Int8", "Int64", "UInt64", "Float32",
                                                 "Float64"),
    "boolean": nullable("boolean"),
    "str, string (pyarrow)": [
        pd.array(TEXTS, dtype="string[pyarrow]"),
        *([pd.array(TEXTS, dtype="str")] if PANDAS_3 else []),
    ],
    "str, string (python)": [pd.array(TEXTS, dtype="string[python]")],
    "category": [
        pd.Categorical([f"c{n % 9}" for n in range(ROWS)]),
        pd.Categorical(np.arange(ROWS) % 300),
        pd.cut(pd.Series(np.arange(ROWS)), 7),
        pd.Categorical([None if n % 3 else n % 5 for n in range(ROWS)]),
    ],
    "period": [
        pd.period_range("1000", periods=ROWS, freq="D"),
        pd.Series(pd.period_range("1000", periods=ROWS, freq="M")).mask(
            WITH_NAN != WITH_NAN
        ),
    ],
    "interval": [pd.interval_range(0, ROWS), pd.interval_range(0.5, ROWS + 0.5)],
    "ArrowDtype, as it is stored": [
        arrow([1, None], pa.int32()), arrow([1.5, None], pa.float64()),
        arrow([True, None], pa.bool_()), arrow(["a", None], pa.large_string()),
        arrow([1, None], pa.timestamp("us", "UTC")),
        arrow([{"a": 1}, None], pa.struct([("a", pa.int64())])),
    ],
    "ArrowDtype, cast on the way in": [
        arrow(["a", None], pa.string()), arrow([b"a", None], pa.binary()),
        arrow([[1], None], pa.list_(pa.int64())),
    ],
    "object of str": [objects(lambda n: f"s{n}"), objects(lambda n: None)],
    "object of bytes, bool, int, float, date, time, datetime, timedelta, UUID, numpy's "
    "scalars": [
        objects(lambda n: datetime.datetime(2020, 1, 1, n % 24)), objects(np.float32),
        objects(lambda n: datetime.timedelta(n)), objects(np.int64), objects(np.bool_),
        objects(lambda n: b"%d" % n), objects(lambda n: n % 2 == 0), objects(int),
        objects(float), objects(lambda n: datetime.date.fromordinal(n + 1)),
        objects(lambda n: datetime.time(n % 24)), objects(lambda n: uuid.UUID(int=n)),
    ],
    "object of Decimal": [objects(decimal.Decimal)],
    "object of several types, of others that [values](values.md) may be of": [
        objects(lambda n: n if n % 2 else "a"), objects(lambda n: [n]),
        objects(lambda n: np.str_("a")), objects(lambda n: None if n % 2 else np.nan),
    ],
    "object of anything else, of types derived from these": [
        objects(lambda n: object()), objects(lambda n: Text("a")),
    ],
    "sparse": [pd.arrays.SparseArray(np.zeros(ROWS))],
    "bytes in another order, longdouble": numbers(">i4", "longdouble"),
    "ArrowDtype of list views, of extension types": [
        arrow([[1], [2]], pa.list_view(pa.int64())), arrow([b"x" * 16], pa.uuid()),
    ],
}  # fmt: skip
CASES = [
    pytest.param(line, values, id=f"{line.split(',')[0]} {number}")
    for line, samples in SAMPLES.items()
    for number, values in enumerate(samples)
]


def test_the_page_and_these_tests_have_the_same_lines() -> None:
    assert list(table()) == list(SAMPLES)
    assert set(table().values()) == {"zero-copy", "one pass", "refused"}


# ---- Addresses ----


def mapped(directory: str) -> list[tuple[int, int]]:
    """Where this process has mapped the cache's files of frames."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if f"{directory}/frames/" in line:
            first, last = line.split()[0].split("-")
            found.append((int(first, 16), int(last, 16)))
    return found


MASKED = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)


def addresses(array: Any) -> Iterator[tuple[int, int]]:
    """Where the values of a column begin, and their bytes: masks too."""
    if isinstance(array.dtype, pd.CategoricalDtype):
        array = array.codes
    elif isinstance(array.dtype, pd.IntervalDtype):
        array = np.asarray(array.left)
    elif isinstance(array.dtype, (pd.PeriodDtype, pd.DatetimeTZDtype)):
        array = array.asi8
    if isinstance(array, MASKED):
        mask = array.isna()
        yield mask.ctypes.data, mask.nbytes
    elif hasattr(array, "__arrow_array__") and "pyarrow" in type(array).__module__ + str(
        getattr(array.dtype, "storage", "") or "pyarrow"
    ):
        for chunk in array.__arrow_array__().chunks:
            for buffer in chunk.buffers():
                if buffer is not None:
                    yield buffer.address, buffer.size
    else:
        values = np.asarray(array)
        yield values.ctypes.data, values.nbytes


@pytest.mark.parametrize("mode", ["cow", "readonly"])
@pytest.mark.parametrize(("line", "values"), CASES)
def test_a_line_of_the_page(
    cache: framecache.Cache, line: str, values: Any, mode: str
) -> None:
    cost = table()[line]
    frame = pd.DataFrame({"the column": values})
    if cost == "refused":
        with pytest.raises(framecache.ColumnTypeError, match="'the column'") as caught:
            cache.put("k", frame)
        assert caught.value.column == "the column"
        return
    with cache.put("k", frame) as stored:
        back = stored.to_pandas(mode)
        pd.testing.assert_frame_equal(back, frame)
        array = back["the column"].array
        files = mapped(cache.dir)
        inside = [
            any(a <= at and at + size <= b for a, b in files)
            for at, size in addresses(array)
        ]
        if cost == "zero-copy":
            assert inside and all(inside)
            stored.to_pandas(mode, require_zero_copy=True)
        else:
            assert not all(inside)
            with pytest.raises(
                framecache.ColumnTypeError, match="'the column' cannot come without"
            ):
                stored.to_pandas(mode, require_zero_copy=True)
        del back, array


def test_a_copy_has_nothing_in_the_files(cache: framecache.Cache) -> None:
    columns = {
        line: samples[0]
        for line, samples in SAMPLES.items()
        if table()[line] != "refused"
    }
    with cache.put("k", pd.DataFrame(columns)) as stored:
        back = stored.to_pandas("copy")
        files = mapped(cache.dir)
        for line in columns:
            if "pyarrow" in line or "ArrowDtype" in line:
                continue  # pyarrow's arrays never change: they are shared
            for at, _ in addresses(back[line].array):
                assert not any(a <= at < b for a, b in files), line
        del back


def test_a_small_frame_is_copied_unless_that_is_forbidden(
    cache: framecache.Cache,
) -> None:
    with cache.put("k", pd.DataFrame({"x": np.arange(100.0)})) as stored:
        for strict in (False, True):
            values = stored.to_pandas(require_zero_copy=strict)["x"].to_numpy()
            at = values.ctypes.data
            assert any(a <= at < b for a, b in mapped(cache.dir)) is strict
            del values
