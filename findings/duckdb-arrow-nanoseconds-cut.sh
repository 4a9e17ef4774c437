#!/bin/bash
# DuckDB cuts the nanoseconds off Arrow durations and intervals, without a word.
#
# Its INTERVAL counts microseconds. An Arrow duration[ns] or month_day_nano_interval goes in
# without an error and comes out in a type that does have nanoseconds, with the last three
# digits 0: a duration of 999 ns equals an interval of none.
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

durations = pa.table({"x": pa.array([999, 1500], pa.duration("ns"))})
intervals = pa.table({"x": pa.array([(1, 2, 1999)], pa.month_day_nano_interval())})
out = {}
for name, table in (("durations", durations), ("intervals", intervals)):
    out[name] = [v.nanoseconds for v in duckdb.from_arrow(table).to_arrow_table()["x"].to_pylist()]
zero = duckdb.from_arrow(durations).filter("x = interval 0 seconds").count("*").fetchall()[0][0]
print("nanoseconds:", out, "\nequal to none:", zero)
assert out == {"durations": [0, 1000], "intervals": [1000]} and zero == 1
PY
