#!/bin/bash
# A decimal filter of fastparquet matches no row that it should.
#
# Decimals are read as floats, while the value of the filter stays what it was: == with a
# Decimal finds nothing, with row groups that hold that very value and nothing else; < and <=
# treat the row as smaller than itself or not, by how its float was rounded.
#
# Seen with fastparquet 2026.9.0, pandas 3.1.1, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check fastparquet==2026.9.0 pandas==3.1.1 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import decimal

import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq

value = decimal.Decimal("1.10")
table = pa.table({"x": pa.array([value, -value], pa.decimal128(5, 2))})
pq.write_table(table, "x.parquet", row_group_size=1)


def found(operator):
    file = fastparquet.ParquetFile("x.parquet")
    return list(file.to_pandas(filters=[("x", operator, value)], row_filter=True)["x"])


out = {operator: found(operator) for operator in ("==", "<=", ">")}
print(out)
assert out == {"==": [], "<=": [-1.1], ">": [1.1]}
PY
