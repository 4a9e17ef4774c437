"""Frame and Column: shape, selection, slices, values; imports and exit."""

import pathlib
import subprocess
import sys

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from versions import NUMPY_2

TABLE = pa.table({
    "n": pa.array([3, 1, 2], pa.int32()), "f": [1.5, None, -2.0], "s": ["x", None, "z"],
    "b": [True, False, None], "t": pa.array([5, 6, None], pa.timestamp("ms")),
})  # fmt: skip


def test_shape(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        assert frame.rows == len(frame) == 3
        assert frame.columns == ["n", "f", "s", "b", "t"]
        assert frame.shape == (3, 5)
        assert frame.key == "k" and frame.sequence > 0 and frame.nbytes > 0
        assert repr(frame).startswith("Frame('k', rows=3, columns=5")
        for walk in (iter, reversed):
            with pytest.raises(TypeError, match="not iterable"):
                walk(frame)


def test_select(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        some = frame.select(["s", 0, -1])
        assert some.columns == ["s", "n", "t"] and some.rows == 3
        assert pa.table(some).equals(
            pa.table(frame).select(["s", "n", "t"]).replace_schema_metadata()
        )
        assert frame.select([]).shape == (3, 0)
        assert some.key == "k" and some.sequence == frame.sequence
        for wrong in (["nothing"], [5], [-6]):
            with pytest.raises(framecache.ColumnError):
                frame.select(wrong)
        with pytest.raises(TypeError):
            frame.select("n")
        del some


def test_slice(cache: framecache.Cache) -> None:
    with cache.put("k", pa.table({"x": list(range(10))})) as frame:
        cases = [
            (2, 3), (0, None), (8, 5), (-3, None), (-3, 2), (10, 1), (50, 5), (-50, 2),
        ]  # fmt: skip
        for offset, length in cases:
            start = max(offset + 10, 0) if offset < 0 else offset
            stop = None if length is None else start + length
            assert (
                frame.slice(offset, length)["x"].to_numpy().tolist()
                == (list(range(10))[start:stop])
            )
        assert frame.head(3).rows == 3 and frame.head().rows == 5
        assert frame.slice(2, 6).slice(1, 3).select(["x"])["x"].to_numpy().tolist() == [
            3, 4, 5,
        ]  # fmt: skip
        with pytest.raises(ValueError, match="-1 rows"):
            frame.slice(0, -1)


def test_column(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        n = frame["n"]
        assert (n.name, n.format, n.null_count, len(n)) == ("n", "i", 0, 3)
        assert (n.min, n.max) == (1, 3)
        assert n.to_numpy().tolist() == [3, 1, 2] and n.to_numpy().dtype == "i4"
        assert frame[1].name == "f" and frame[-1].name == "t"
        assert (frame["f"].min, frame["f"].max, frame["f"].null_count) == (-2.0, 1.5, 1)
        assert frame["s"].min is None
        assert frame["t"].max == np.datetime64(6, "ms")
        assert frame["s"].to_numpy().tolist() == ["x", None, "z"]
        assert frame["b"].to_numpy().tolist() == [True, False, None]
        assert np.isnat(frame["t"].to_numpy()[2])
        assert frame.slice(1)["f"].null_count == 1 and frame.slice(2)["f"].null_count == 0
        assert "n" in repr(n)
        for wrong in ("nothing", 5, -6):
            with pytest.raises(framecache.ColumnError) as caught:
                frame[wrong]
            assert isinstance(caught.value, KeyError)
        del n


def test_column_as_an_array(cache: framecache.Cache) -> None:
    with cache.put("k", TABLE) as frame:
        assert np.asarray(frame["n"]).tolist() == [3, 1, 2]
        assert np.asarray(frame["n"], dtype="f8").dtype == "f8"
        assert np.array(frame["n"], copy=True).flags.writeable
        if NUMPY_2:  # before, False meant only: where none is needed
            with pytest.raises(ValueError, match="needs a copy"):
                np.array(frame["s"], copy=False)
            assert np.asarray(frame["n"], copy=False).tolist() == [3, 1, 2]


def test_numpy_has_no_type_for_it(cache: framecache.Cache) -> None:
    with (
        cache.put("k", pa.table({"list": [[1]]})) as frame,
        pytest.raises(framecache.ColumnTypeError, match="'list'") as caught,
    ):
        frame["list"].to_numpy()
    assert caught.value.column == "list"


def test_ints_with_nulls_are_floats(cache: framecache.Cache) -> None:
    with cache.put("k", pa.table({"x": [1, None]})) as frame:
        values = frame["x"].to_numpy()
        assert values.dtype == "f8" and values[0] == 1 and np.isnan(values[1])


def test_names_twice(cache: framecache.Cache) -> None:
    twice = pa.table([[1], [2]], names=["a", "a"])
    with cache.put("k", twice) as frame:
        with pytest.raises(framecache.ColumnError, match="several"):
            frame["a"]
        assert frame[0].to_numpy()[0] == 1 and frame[1].to_numpy()[0] == 2
        assert frame.to_pandas().columns.tolist() == ["a", "a"]


def test_series_has_the_index(cache: framecache.Cache) -> None:
    frame = pd.DataFrame({"x": [1.5, 2.5]}, index=pd.Index(["a", "b"], name="i"))
    with cache.put("k", frame) as stored:
        pd.testing.assert_series_equal(stored["x"].to_pandas(), frame["x"])


IMPORTS = """
import sys, framecache
heavy = {"numpy", "pandas", "pyarrow", "polars"} & set(sys.modules)
assert not heavy, heavy
with framecache.Cache(sys.argv[1]) as cache:
    assert cache.get("k") is None and len(cache) == 0
    with cache.build("k", {"x": "float64"}, 1) as b:
        pass
    assert b.frame.shape == (1, 1)
heavy = {"numpy", "pandas", "pyarrow", "polars"} & set(sys.modules)
assert heavy <= {"numpy"}, heavy
"""


def test_import_brings_nothing_heavy(directory: str) -> None:
    run = [sys.executable, "-W", "error", "-c", IMPORTS, directory]
    out = subprocess.run(run, capture_output=True, text=True, timeout=600)
    assert out.returncode == 0, out.stderr


EXIT = """
import sys, threading, framecache, pyarrow as pa, numpy as np, builtins
cache = framecache.Cache(sys.argv[1])
frame = cache.put("k", pa.table({"x": np.arange(300_000), "s": ["a"] * 300_000}))
builtins.keep = [frame.to_pandas(), frame["x"].to_numpy(), pa.table(frame), cache.keys(),
                 frame.__arrow_c_stream__(), cache.build("b", {"x": "g"}, 300_000)]
builtins.array = builtins.keep[-1]["x"]
next(builtins.keep[3])
threading.Thread(target=lambda: [cache.next_frame("never")], daemon=True).start()
print("leaving")
"""


def test_interpreter_exits_with_everything_alive(directory: str) -> None:
    for _ in range(3):
        run = [sys.executable, "-W", "error", "-c", EXIT, directory]
        out = subprocess.run(run, capture_output=True, text=True, timeout=600)
        assert (out.returncode, out.stdout, out.stderr) == (0, "leaving\n", "")
    with framecache.Cache(directory) as cache:
        assert not any(info["leased"] for info in cache.infos())
        assert [f for f in cache.verify() if f["level"] != "info"] == []


def test_get_include_has_the_header() -> None:
    assert framecache.get_include().endswith("include")
    assert framecache.__version__.count(".") == 2


@pytest.mark.parametrize("fault", ["offset", "text"])
def test_rows_of_damaged_text_are_corrupt(cache: framecache.Cache, fault: str) -> None:
    texts = [f"text number {number}" for number in range(10, 30)]
    offsets = np.arange(21, dtype="<i8") * len(texts[0])
    whole = b"".join(text.encode() for text in texts)
    good, bad = {
        "offset": (
            offsets.tobytes(),
            np.where(offsets == 70, 1 << 40, offsets).tobytes(),
        ),
        "text": (
            whole,
            whole.replace(b"number 15", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        ),
    }[fault]
    with cache.put("k", pa.table({"s": texts})) as frame:
        assert list(frame["s"]) == texts
        for file in (pathlib.Path(cache.dir) / "frames").iterdir():
            with file.open("r+b") as mapped:
                damaged = mapped.read().replace(good, bad)
                mapped.seek(0)
                mapped.write(damaged)
        assert list(frame["s"][:3]) == texts[:3]
        with pytest.raises(framecache.CorruptError, match="column 's' holds damaged"):
            list(frame["s"])
    cache.delete("k")
