#!/bin/bash
# DataFusion writes timestamps and times in seconds to Parquet as bare integers.
#
# Parquet has no seconds. pyarrow widens timestamp[s] and time32[s] to milliseconds; DataFusion
# writes the numbers with no logical type and, by its defaults, no Arrow schema, so a column of
# times comes back as int64 or int32, and date64 as int64 of milliseconds. Milliseconds are
# written as timestamps.
#
# Seen with datafusion 55.0.0, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check datafusion==55.0.0 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import datafusion
import pyarrow as pa
import pyarrow.parquet as pq

columns = {
    "timestamp[s]": pa.array([1], pa.timestamp("s")),
    "timestamp[ms]": pa.array([1], pa.timestamp("ms")),
    "time32[s]": pa.array([1], pa.time32("s")),
    "date64[ms]": pa.array([86400000], pa.date64()),
}
table = pa.table(columns)
context = datafusion.SessionContext()
context.from_arrow(table).write_parquet("out.parquet")
pq.write_table(table, "pyarrow.parquet", store_schema=False)
out = {field.name: str(field.type) for field in pq.read_table("out.parquet").schema}
reference = {field.name: str(field.type) for field in pq.read_table("pyarrow.parquet").schema}
print("DataFusion:", out, "\npyarrow:", reference)
assert out == {
    "timestamp[s]": "int64",
    "timestamp[ms]": "timestamp[ms]",
    "time32[s]": "int32",
    "date64[ms]": "int64",
}
assert reference["timestamp[s]"] == "timestamp[ms]" and reference["time32[s]"] == "time32[ms]"
PY
