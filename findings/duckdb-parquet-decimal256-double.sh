#!/bin/bash
# DuckDB reads decimals of more than 38 digits from Parquet as doubles, and refuses them from Arrow.
#
# The column type is DECIMAL(50, 9). Its values come out of read_parquet as DOUBLE with 16 good
# digits of 29 and without a warning, so sums and joins over such keys go wrong; the same table
# as Arrow is a NotImplementedException.
#
# Seen with duckdb 2.0.1, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

value = decimal.Decimal("12345678901234567890.123456789")
table = pa.table({"x": pa.array([value], pa.decimal256(50, 9))})
pq.write_table(table, "x.parquet")
found, kind = duckdb.sql("select x, typeof(x) from 'x.parquet'").fetchall()[0]
try:
    duckdb.from_arrow(table).fetchall()
    arrow = "read"
except duckdb.Error as error:
    arrow = type(error).__name__
print("put:", value, "\nParquet:", repr(found), kind, "\nArrow:", arrow)
assert kind == "DOUBLE" and decimal.Decimal(found) != value
assert arrow == "NotImplementedException"
PY
