#!/bin/bash
# pantab writes a null that stands in a dictionary as an empty string.
#
# An Arrow dictionary may hold null as a value; a code for it is a null row. frame_to_hyper()
# looks at the validity of the codes only: the row becomes '' in the Hyper file, while a row
# whose code is null stays null.
#
# Seen with pantab 5.3.0, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pantab==5.3.0 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import pantab
import pyarrow as pa

codes = pa.array([0, 1, None], pa.int8())
array = pa.DictionaryArray.from_arrays(codes, pa.array(["a", None]))
pantab.frame_to_hyper(pa.table({"x": array}), "x.hyper", table="t")
found = pantab.frame_from_hyper("x.hyper", table="t", return_type="pyarrow")["x"].to_pylist()
print("put:", array.to_pylist(), "\nread:", found)
assert array.to_pylist() == ["a", None, None] and found == ["a", "", None]
PY
