#!/bin/bash
# arro3 drops the ordered flag of dictionaries.
#
# The C data interface carries it (ARROW_FLAG_DICTIONARY_ORDERED). A table that goes through
# arro3 comes out with ordered=0, and an ordered pandas category becomes an unordered one, on
# which < raises. nanoarrow passes it on.
#
# Seen with arro3-core 0.9.1, nanoarrow 0.9.0, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check arro3-core==0.9.1 nanoarrow==0.9.0 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import arro3.core
import nanoarrow
import pyarrow as pa

codes, labels = pa.array([0, 1], pa.int8()), pa.array(["low", "high"])
array = pa.DictionaryArray.from_arrays(codes, labels, ordered=True)
table = pa.table({"x": array})
by_arro3 = pa.table(arro3.core.Table.from_arrow(table))["x"].type.ordered
by_nanoarrow = pa.table(nanoarrow.ArrayStream(table))["x"].type.ordered
print("ordered: in", array.type.ordered, "arro3", by_arro3, "nanoarrow", by_nanoarrow)
assert array.type.ordered and by_nanoarrow and not by_arro3
PY
