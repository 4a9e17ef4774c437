#!/bin/bash
# fastparquet turns dates before 1677 into others, without an error.
#
# A Parquet DATE column is read as datetime64[ns], by multiplication without a check: 1 January
# of the year 1 becomes 30 August 1754, and 9999-12-31 a day in 1816. pandas with pyarrow gives
# the dates themselves.
#
# Seen with fastparquet 2026.9.0, pandas 3.1.1, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import datetime

import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq

dates = [datetime.date(1, 1, 1), datetime.date(2020, 2, 29), datetime.date(9999, 12, 31)]
pq.write_table(pa.table({"x": pa.array(dates)}), "x.parquet")
found = fastparquet.ParquetFile("x.parquet").to_pandas()["x"]
print(found)
assert str(found.dtype) == "datetime64[ns]"
assert [value.year for value in found] == [1754, 2020, 1816]
assert pq.read_table("x.parquet")["x"].to_pylist() == dates
PY
