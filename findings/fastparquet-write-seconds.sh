#!/bin/bash
# fastparquet writes times and durations in seconds as if they were smaller units.
#
# pandas has datetime64[s] and timedelta64[s] (read_csv, resample and Arrow give them).
# fastparquet.write() stores the counts of seconds under TIMESTAMP(MILLIS) and TIME(MICROS). For
# other readers the year 2020 is a day in January 1970 then, and an hour 3,600 microseconds;
# fastparquet itself cannot read what it wrote.
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
import pandas as pd
import pyarrow.parquet as pq

frame = pd.DataFrame(
    {
        "at": pd.Series(["2020-03-01 12:00:00"], dtype="datetime64[s]"),
        "took": pd.Series([pd.Timedelta(hours=1)], dtype="timedelta64[s]"),
    }
)
fastparquet.write("x.parquet", frame)
found = pq.read_table("x.parquet").to_pylist()[0]
try:
    own = fastparquet.ParquetFile("x.parquet").to_pandas()
except ValueError as error:
    own = f"ValueError: {error}"
print("put:\n", frame, "\npyarrow:", found, "\nfastparquet:", own)
assert found["at"].year == 1970
assert found["took"] == datetime.time(microsecond=3600)
assert "Cannot losslessly cast" in own
PY
