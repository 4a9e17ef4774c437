"""What notebooks show: schema, first rows, bytes, where it lives, who maps it."""

import html.parser
import os
import subprocess
import sys

import framecache
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import samples
from crowd import ended, forked


class Reader(html.parser.HTMLParser):
    """Well-formed, and no element that was not meant."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"div", "p", "b", "br", "table", "thead", "tbody", "tr", "th", "td"}
        assert all(name == "style" for name, _ in attrs)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def shown(thing: framecache.Cache | framecache.Frame) -> list[str]:
    return Reader(thing._repr_html_()).texts


def test_a_frame_shows_schema_rows_bytes_place_and_processes(
    cache: framecache.Cache,
) -> None:
    data = pd.DataFrame({"carrier": list("abcdefg"), "delay": np.arange(7) / 3})
    with cache.put("flights", data, ttl="1h", tags=["sql"]) as frame:
        texts = shown(frame)
    assert texts[0:2] == ["Frame", "'flights'"]
    assert f"7 rows, 2 columns, {frame_size(cache)}" in texts
    for text in (
        "carrier",
        "delay",
        "string",
        "float64",
        "e",
        "1.33333",
        "sql",
        cache.dir,
    ):
        assert text in texts
    assert "f" not in texts  # the sixth row
    assert "in 60 min" in texts
    assert f"{os.getpid()} (this process)" in texts


def frame_size(cache: framecache.Cache) -> str:
    from framecache._text import size_text

    return size_text(next(cache.infos())["bytes"])


def test_other_processes_that_map_it_are_named(cache: framecache.Cache) -> None:
    cache["k"] = pa.table({"x": [1]})
    read, write = os.pipe()
    ready, done = os.pipe()

    def child() -> None:
        os.close(write)  # so that a parent that fails ends the wait
        with framecache.Cache(cache.dir) as own, own["k"]:
            os.write(done, b"1")
            os.read(read, 1)

    pid = forked(child)
    os.read(ready, 1)
    with cache["k"] as frame:
        assert f"{pid} (python" in frame._repr_html_()
        in_cache = cache._repr_html_()
        assert f"{pid} (python" in in_cache, in_cache
        assert f"{os.getpid()} (this process)" in in_cache
        os.write(write, b"1")
        assert ended(pid) == 0
        assert f"{pid} (" not in frame._repr_html_()
        assert f"{pid} (" not in cache._repr_html_()
    for descriptor in (read, write, ready, done):
        os.close(descriptor)


def test_a_replaced_frame_says_so(cache: framecache.Cache) -> None:
    old = cache.put("k", pa.table({"x": [1]}))
    cache["k"] = pa.table({"x": [2]})
    assert "memory of its readers only: replaced, deleted or closed" in shown(old)
    old.release()
    assert shown(old) == ["Frame (released)"]


def test_text_of_others_is_escaped(cache: framecache.Cache) -> None:
    bad = "<script>alert('&')</script>"
    with cache.put(bad, pa.table({bad: [bad]}), tags=[bad]) as frame:
        assert shown(frame).count(bad) == 3  # name, cell, tag; Reader saw no script
        assert bad in shown(cache)


@pytest.mark.parametrize("kind", list(samples.arrays()))
def test_every_type_is_shown(cache: framecache.Cache, kind: str) -> None:
    with cache.put("k", pa.table({"c": samples.arrays()[kind]})) as frame:
        assert "c" in shown(frame)


def test_a_wide_and_an_empty_frame_are_shown(cache: framecache.Cache) -> None:
    wide = pa.table({f"c{index}": [1] for index in range(50)})
    with cache.put("k", wide) as frame:
        texts = shown(frame)
        assert "c19" in texts and "c20" not in texts and "…" in texts
    with cache.put("k", pa.table({})) as frame:
        assert "0 rows, 0 columns" in " ".join(shown(frame))


def test_a_cache_shows_budget_frames_and_hits(cache: framecache.Cache) -> None:
    assert "frames" in shown(cache)
    for index in range(25):
        cache.put(f"k{index}", pa.table({"x": list(range(index))}), ttl="2h").release()
    held = cache["k1"]  # of those that are shown
    cache.get("nothing")
    texts = shown(cache)
    assert texts[:2] == ["Cache", cache.dir]
    assert "25" in texts and "… 5 more" in texts
    assert any(text.endswith("of 2 gets") for text in texts)
    assert texts.count("yes") == 1
    del held
    cache.close()
    assert shown(cache) == [f"Cache {cache.dir} (closed)"]


ALONE = """
import sys
for name in ("numpy", "pandas", "pyarrow"):
    sys.modules[name] = None
import framecache
with framecache.Cache(sys.argv[1]) as cache, cache["k"] as frame:
    print(frame._repr_html_(), cache._repr_html_())
"""


def test_it_works_without_pandas_numpy_and_pyarrow(cache: framecache.Cache) -> None:
    cache["k"] = pa.table({"x": [1, 2], "l": [[1], []]})
    done = subprocess.run(
        [sys.executable, "-c", ALONE, cache.dir], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    texts = Reader(done.stdout).texts
    assert "x" in texts and "int64" in texts and texts.count("?") == 4
