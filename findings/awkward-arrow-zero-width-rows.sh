#!/bin/bash
# awkward.from_arrow loses all rows of arrays whose values have no width.
#
# fixed_size_list<T>[0] and fixed_size_binary[0] arrays of n rows (nulls among them) become
# arrays of length 0: the number of rows is taken from the content, which is empty.
#
# Seen with awkward 2.14.0, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check awkward==2.14.0 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import awkward as ak
import pyarrow as pa

lists = pa.array([[], None, []], pa.list_(pa.int32(), 0))
binary = pa.array([b"", None], pa.binary(0))
lengths = [(len(array), len(ak.from_arrow(array))) for array in (lists, binary)]
print("rows in, rows out:", lengths)
assert lengths == [(3, 0), (2, 0)]
PY
