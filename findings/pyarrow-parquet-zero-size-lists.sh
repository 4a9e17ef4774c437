#!/bin/bash
# Parquet from pyarrow turns empty fixed-size lists of size 0 into lists of one null.
#
# pq.write_table() takes a fixed_size_list<int32>[0] column, whose only values are [] and null.
# What it writes says of each [] that it has one element, a null. pyarrow itself then refuses
# its own file; a reader that does not look at the stored Arrow schema (DuckDB here) gets [NULL]
# of length 1. An ordinary list column with the same rows is written right.
#
# Seen with pyarrow 26.0.1, duckdb 2.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1
cd "$dir"
venv/bin/python - <<'PY'
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

rows = [[], None, []]
pq.write_table(pa.table({"x": pa.array(rows, pa.list_(pa.int32(), 0))}), "fixed.parquet")
pq.write_table(pa.table({"x": pa.array(rows, pa.list_(pa.int32()))}), "plain.parquet")
query = "select x, len(x) from '{}.parquet'"
fixed = duckdb.sql(query.format("fixed")).fetchall()
plain = duckdb.sql(query.format("plain")).fetchall()
try:
    own = pq.read_table("fixed.parquet")["x"].to_pylist()
except pa.ArrowInvalid as error:
    own = f"ArrowInvalid: {error}"
print("put:", rows, "\nDuckDB, fixed size:", fixed, "\nDuckDB, plain:", plain)
print("pyarrow, its own file:", own)
assert plain == [([], 0), (None, None), ([], 0)]
assert fixed == [([None], 1), (None, None), ([None], 1)]
assert "Expected all lists to be of size=0" in own
PY
