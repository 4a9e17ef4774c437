#!/bin/bash
# polars keeps both entries of a repeated map key from Arrow, but one of them from Parquet.
#
# Neither Arrow nor Parquet forbid a map to hold a key twice. polars.from_arrow() gives both
# entries back, read_parquet() of a file with the very same table gives only the last, without a
# word; the length of the map differs by where it came from.
#
# Seen with polars 2.1.0, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

entries = [("a", 1), ("a", 2), ("b", 3)]
table = pa.table({"x": pa.array([entries], pa.map_(pa.string(), pa.int32()))})
pq.write_table(table, "map.parquet")
direct = pl.from_arrow(table).to_arrow()["x"].to_pylist()
stored = pl.read_parquet("map.parquet").to_arrow()["x"].to_pylist()
print("from_arrow:", direct, "\nread_parquet:", stored)
print("pyarrow, same file:", pq.read_table("map.parquet")["x"].to_pylist())
assert direct == [entries]
assert pq.read_table("map.parquet")["x"].to_pylist() == [entries]
assert stored == [[("a", 2), ("b", 3)]]
PY
