"""The format of stored values is the one that docs/format.md describes."""

import datetime
import decimal
import fractions
import json
import math
import uuid
from typing import Any

import framecache
import numpy as np
import pandas as pd
import pytest
from framecache import _values_in
from test_values import PARIS, put_raw, same

TABLE = pd.DataFrame({"x": [1, 2]})

GOLDEN: list[tuple[Any, str]] = [
    ([None, True, 1, -1.5, "é"], '[null,true,1,-1.5,"é"]'),
    (2**63, '{"int":"0x8000000000000000"}'),
    (-(2**64), '{"int":"-0x10000000000000000"}'),
    (math.inf, '{"float":"7ff0000000000000"}'),
    (complex(1, -0.0), '{"complex":"3ff00000000000008000000000000000"}'),
    ("\ud800", '{"str":"eda080"}'),
    (b"\0\xff", '{"bytes":"00ff"}'),
    (bytearray(b"a"), '{"bytearray":"61"}'),
    (memoryview(b"ab"), '{"memoryview":["B",[2],"6162"]}'),
    ((1, (2,)), '{"tuple":[1,{"tuple":[2]}]}'),
    ({3}, '{"set":[3]}'),
    (frozenset({3}), '{"frozenset":[3]}'),
    ({"a": 1, None: 2}, '{"dict":["a",1,null,2]}'),
    (datetime.date(2024, 2, 29), '{"date":"2024-02-29"}'),
    (datetime.datetime(2024, 2, 29, 1, tzinfo=PARIS),
     '{"datetime":["2024-02-29T01:00:00",0,"Europe/Paris"]}'),
    (datetime.time(1, 2, 3, 4, fold=1), '{"time":["01:02:03.000004",1,null]}'),
    (datetime.timezone(datetime.timedelta(hours=-1), "x"), '{"zone":[[-1,82800,0],"x"]}'),
    (datetime.timedelta(days=1, seconds=2), '{"timedelta":[1,2,0]}'),
    (decimal.Decimal("1.50"), '{"decimal":"1.50"}'),
    (uuid.UUID(int=1), '{"uuid":"00000000000000000000000000000001"}'),
    (np.arange(3, dtype="<i2"), '{"array":["<i2",[3],"C",[0,6]]}'),
    (np.arange(6, dtype="<f4").reshape(2, 3).T, '{"array":["<f4",[3,2],"F",[0,24]]}'),
    (np.zeros(1, dtype=[("a", "<i4"), ("b", "<f8", (2,))]),
     '{"array":[[["a","<i4"],["b","<f8",[2]]],[1],"C",[0,20]]}'),
    (np.array([1, "a"], dtype=object), '{"objects":[[2],[1,"a"]]}'),
    (np.float32(1.5), '{"scalar":["<f4","0000c03f"]}'),
    (np.dtype("<M8[ns]"), '{"dtype":"<M8[ns]"}'),
    (pd.Timestamp("2024-02-29", tz="UTC").as_unit("s"),
     '{"timestamp":[1709164800,"s",[[0,0,0]],0]}'),
    (pd.Timedelta(1, "s").as_unit("ms"), '{"pandas.timedelta":[1000,"ms"]}'),
    (pd.NaT, '{"pandas":"NaT"}'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "tree"), GOLDEN, ids=[tree for _, tree in GOLDEN])
def test_the_format_is_what_it_was(
    cache: framecache.Cache, value: Any, tree: str
) -> None:
    encoded = _values_in.encode(value)
    assert encoded.tree.decode() == tree
    put_raw(cache, tree.encode(), encoded.small)
    assert same(cache.get_value("k"), value)


def test_buffers_stand_where_the_format_says(cache: framecache.Cache) -> None:
    small, large = bytes(range(65)), bytes(65_537)
    cache.put_value("k", [small, small, large, TABLE])
    with cache["k"] as frame:
        assert frame.columns == ["tree", "buffers", "buffer 0", "table 0"]
        assert frame.schema.formats == ["Z", "Z", "Z", "+L"]
        assert frame.schema.metadata == {
            b"framecache.kind": b"value", b"framecache.value": b"1",
        }  # fmt: skip
        row = frame.to_arrow().to_pylist()[0]
    assert json.loads(row["tree"]) == [
        {"bytes": [0, 65]}, {"bytes": [128, 65]}, {"bytes": [0]}, {"table": [None, 0]},
    ]  # fmt: skip
    assert row["buffers"] == (small + bytes(63)) * 2
    assert row["buffer 0"] == large
    assert row["table 0"] == [{"x": 1}, {"x": 2}]


def test_a_table_of_odd_objects_is_pickled_only_where_that_is_allowed(
    cache: framecache.Cache,
) -> None:
    odd = pd.DataFrame({"x": pd.Series([1, fractions.Fraction(1, 2)], dtype=object)})
    for value in (odd, [1, odd], {"records": np.array([(1, "a")], dtype="i4,O")}):
        with pytest.raises(TypeError):
            cache.put_value("k", value)
        cache.put_value("k", value, allow_pickle=True)
        with pytest.raises(framecache.AccessError):
            cache.get_value("k")
        back = cache.get_value("k", allow_pickle=True)
        assert repr(back) == repr(value)
    plain = pd.DataFrame({"x": [1]})
    cache.put_value("k", plain, allow_pickle=True)
    pd.testing.assert_frame_equal(cache.get_value("k"), plain)  # no pickle in it


def test_a_memoryview_comes_back_or_is_refused(cache: framecache.Cache) -> None:
    half = memoryview(np.arange(3, dtype="f2"))  # which not every Python can read
    try:
        cache.put_value("k", half)
    except TypeError as error:
        assert "memoryview of format 'e'" in str(error)
        assert "k" not in cache
    else:
        assert cache.get_value("k") == half
