#!/bin/bash
# In DuckDB the rows of `x > 3` depend on how a Parquet file was cut into row groups.
#
# DuckDB orders NaN above all numbers, so NaN > 3 is true, over an Arrow table and over a row
# group that holds nothing else. If the group has numbers as well, its statistics (which leave
# NaN out, as the format asks) end at 2, the group is skipped, and the row is missing.
#
# Seen with duckdb 2.0.1, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table({"x": [float("nan"), 1.0, 2.0]})
counts = {}
counts["arrow"] = duckdb.from_arrow(table).filter("x > 3").count("*").fetchall()[0][0]
for rows in (1, 3):
    pq.write_table(table, "x.parquet", row_group_size=rows)
    found = duckdb.sql("select count(*) from 'x.parquet' where x > 3").fetchall()[0][0]
    counts[f"{rows} a group"] = found
print("rows with x > 3:", counts)
assert counts == {"arrow": 1, "1 a group": 1, "3 a group": 0}
PY
