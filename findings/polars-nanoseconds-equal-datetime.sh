#!/bin/bash
# In polars a nanosecond column equals a Python datetime in the whole microsecond.
#
# Comparing Datetime("ns") with a literal of microseconds (any datetime.datetime) cuts the
# column, not widens the literal: rows 1 and 999 ns later are equal to it, and > leaves them
# out. pyarrow compares exactly.
#
# Seen with polars 2.1.0, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

epoch = datetime.datetime(1970, 1, 1)
column = pl.DataFrame({"x": pl.Series([0, 1, 999, 1000]).cast(pl.Datetime("ns"))})
equal = column.select(pl.col("x") == epoch)["x"].to_list()
later = column.select(pl.col("x") > epoch)["x"].to_list()
exact = pc.equal(pa.array([0, 1, 999, 1000], pa.timestamp("ns")), pa.scalar(epoch)).to_pylist()
print("polars ==:", equal, "\npolars >:", later, "\npyarrow ==:", exact)
assert equal == [True, True, True, False] and later == [False, False, False, True]
assert exact == [True, False, False, False]
PY
