#!/bin/bash
# fastparquet reads half floats as bytes objects.
#
# FLOAT16 is a logical type over two bytes. The column comes out as objects, each the two bytes
# of the number, although the file says what they are; DuckDB reads 1.5.
#
# Seen with fastparquet 2026.9.0, pandas 3.1.1, pyarrow 26.0.1, duckdb 2.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1 duckdb==2.0.1
cd "$dir"
venv/bin/python - <<'PY'
import duckdb
import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq

pq.write_table(pa.table({"x": pa.array([1.5], pa.float16())}), "x.parquet")
found = fastparquet.ParquetFile("x.parquet").to_pandas()["x"][0]
print("fastparquet:", found, "\nDuckDB:", duckdb.sql("from 'x.parquet'").fetchall()[0])
assert found == b"\x00\x3e"
assert duckdb.sql("from 'x.parquet'").fetchall() == [(1.5,)]
PY
