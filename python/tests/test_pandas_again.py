"""What is remembered of a layout: the next frame of it comes back as the first did."""

from typing import Any

import framecache
import numpy as np
import pandas as pd
import pytest
from framecache._pandas_numbers import quick_maker
from pandas.testing import assert_frame_equal

ROWS = 3000  # beyond a page, from where on bytes are mapped


def plain(rows: int = ROWS, **kwargs: Any) -> pd.DataFrame:
    """A default index, and numbers without a null."""
    values = np.arange(rows)
    columns = {kind: values.astype(kind) for kind in ("f8", "i4", "u2", "f4", "M8[ns]")}
    return pd.DataFrame(columns, **kwargs)


def with_nan() -> pd.DataFrame:
    frame = plain()
    frame.loc[5, "f8"] = np.nan
    frame.loc[7, "M8[ns]"] = pd.NaT
    return frame


FRAMES = {
    "plain": plain(),
    "short": plain(3),
    "empty": plain(0),
    "nan": with_nan(),
    "counts by 2": plain(index=pd.RangeIndex(10, 10 + 2 * ROWS, 2, name="n")),
    "other rows": plain(ROWS + 1),
    "dates": plain().set_axis(pd.date_range("2020", periods=ROWS, freq="s"), axis=0),
    "named labels": plain().rename_axis("what", axis=1),
    "numbers for labels": plain().set_axis(range(5), axis=1),
    "text beside": plain().assign(text="x"),
    "bool beside": plain().assign(flag=True),
}


@pytest.mark.parametrize("mode", ["cow", "readonly", "copy"])
@pytest.mark.parametrize("name", FRAMES)
def test_the_next_frame_of_a_layout_comes_back_as_the_first(
    cache: framecache.Cache, name: str, mode: Any
) -> None:
    for other in (FRAMES[name], FRAMES["plain"], FRAMES[name]):
        cache.put("k", other)
        for _ in range(3):
            assert_frame_equal(cache["k"].to_pandas(mode), other, check_freq=True)
        assert_frame_equal(cache["k"].to_value(), other, check_freq=True)


def test_parts_of_a_frame_have_their_rows_numbers(cache: framecache.Cache) -> None:
    frame = cache.put("k", FRAMES["plain"])
    for _ in range(2):
        assert_frame_equal(frame.to_pandas(), FRAMES["plain"])
        for part, rows in (
            (frame.slice(10), slice(10, None)),
            (frame.head(10), slice(0, 10)),
            (frame.slice(0, 0), slice(0, 0)),
        ):
            assert_frame_equal(part.to_pandas(), FRAMES["plain"].iloc[rows])


def test_what_one_reader_changes_the_next_does_not_see(cache: framecache.Cache) -> None:
    frame = cache.put("k", FRAMES["plain"])
    for rows in (frame, frame.head(3), frame):  # 3 rows are copied
        table = rows.to_pandas()
        table.columns.name, table.index.name = "mine", "mine too"
        table.iloc[0, 0] = 5.0
        table.loc[:, "i4"] = 7
        table["more"] = 1
        table.attrs["mine"] = True
        table.flags.allows_duplicate_labels = False
    again = frame.to_pandas()
    assert_frame_equal(again, FRAMES["plain"])
    assert again.columns.name is again.index.name is None
    assert again.attrs == {} and again.flags.allows_duplicate_labels


def test_only_a_copy_on_write_frame_can_be_written_to(cache: framecache.Cache) -> None:
    frame = cache.put("k", FRAMES["plain"])
    for _ in range(2):
        table = frame.to_pandas()
        table.iloc[0, 0] = 1.0
        table = frame.to_pandas("readonly")
        with pytest.raises(ValueError, match="read-only"):
            table.iloc[0, 0] = 1.0
        assert frame.to_pandas("copy").iloc[-1, 0] == ROWS - 1


def test_no_copy_is_made_where_none_is_allowed(cache: framecache.Cache) -> None:
    short = cache.put("k", FRAMES["short"])
    for _ in range(2):
        table = short.to_pandas(require_zero_copy=True)
        assert_frame_equal(table, FRAMES["short"])
    ints = cache.build("i", {"x": "int64"}, ROWS)
    with ints as build:
        build["x"][:] = 1
    nulls = pd.DataFrame({"x": pd.array([1, None] * (ROWS // 2), dtype="Int64")})
    for _ in range(2):
        assert len(ints.frame.to_pandas(require_zero_copy=True)) == ROWS
        with pytest.raises(framecache.ColumnTypeError, match="'x'"):
            cache.put("n", nulls).to_pandas(require_zero_copy=True)


def test_a_table_of_others_with_nulls_among_integers(cache: framecache.Cache) -> None:
    pa = pytest.importorskip("pyarrow")
    full, holes = pa.table({"x": [1, 2, 3]}), pa.table({"x": [1, None, 3]})
    for _ in range(2):
        for table in (full, holes):
            made = cache.put("k", table).to_pandas()
            assert_frame_equal(made, table.to_pandas())


def test_a_pandas_that_makes_frames_otherwise_is_left_to_do_so() -> None:
    internals = pytest.importorskip("pandas.api.internals")
    make = getattr(internals, "create_dataframe_from_blocks", None)
    if make is None:
        pytest.skip("this pandas has none")
    given = [np.dtype("f8"), np.dtype("i4")], pd.Index(["a", "b"])
    positions = [np.array([0]), np.array([1])]

    def copied(*args: Any, **kwargs: Any) -> pd.DataFrame:
        return make(*args, **kwargs).copy()

    class Other(pd.DataFrame):
        pass

    def of_another_class(*args: Any, **kwargs: Any) -> pd.DataFrame:
        return Other(make(*args, **kwargs), copy=False)

    def unlike(*args: Any, **kwargs: Any) -> Any:
        return object()

    for other in (copied, of_another_class, unlike):
        assert quick_maker(*given, positions, other) is None
    quick = quick_maker(*given, positions, make)
    assert quick is not None
    arrays = [np.arange(3.0).reshape(1, -1), np.arange(3, dtype="i4").reshape(1, -1)]
    table = quick(arrays, pd.RangeIndex(3), pd.Index(["a", "b"]))
    assert_frame_equal(table, pd.DataFrame({"a": arrays[0][0], "b": arrays[1][0]}))
    table.iloc[0, 0] = 9.0
    table.insert(1, "c", 1)
    assert (table + 1).columns.tolist() == ["a", "c", "b"]
    again = quick(arrays, pd.RangeIndex(3), pd.Index(["a", "b"]))
    assert again.columns.tolist() == ["a", "b"] and again.iloc[0, 0] == 9.0
