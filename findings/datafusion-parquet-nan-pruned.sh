#!/bin/bash
# DataFusion finds NaN by `x > 3` in a Parquet file only if pruning is kept from it.
#
# In DataFusion NaN is greater than every number. Over Parquet the comparison `x > 3` is
# answered from statistics that leave NaN out, so the row is not found; `x + 0 > 3`, which no
# statistics answer, finds it, and so does the same predicate over the same table in memory.
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

table = pa.table({"x": [float("nan"), 1.0, 2.0]})
pq.write_table(table, "x.parquet")
context = datafusion.SessionContext()
context.register_parquet("stored", "x.parquet")
context.from_arrow(table, "memory")


def count(source, predicate):
    query = f"select count(*) as n from {source} where {predicate}"
    return context.sql(query).to_pydict()["n"][0]


found = {(s, p): count(s, p) for s in ("memory", "stored") for p in ("x > 3", "x + 0 > 3")}
print(found)
assert found == {
    ("memory", "x > 3"): 1,
    ("memory", "x + 0 > 3"): 1,
    ("stored", "x > 3"): 0,
    ("stored", "x + 0 > 3"): 1,
}
PY
