#!/bin/bash
# awkward.from_arrow refuses decimal128, but reads decimal32 and decimal64 as their raw bytes.
#
# A decimal128 array is a clear ValueError. The narrower kinds are taken for fixed-size binary:
# 1.23 comes out as the little-endian integer 123, as bytes, and goes back to Arrow as
# fixed_size_binary.
#
# Seen with awkward 2.14.0, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check awkward==2.14.0 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import decimal

import awkward as ak
import pyarrow as pa

value = [decimal.Decimal("1.23")]
out = {}
for kind in (pa.decimal32(5, 2), pa.decimal64(10, 2), pa.decimal128(10, 2)):
    try:
        out[str(kind)] = ak.from_arrow(pa.array(value, kind)).tolist()
    except ValueError as error:
        out[str(kind)] = type(error).__name__
print(out)
assert out == {
    "decimal32(5, 2)": [(123).to_bytes(4, "little")],
    "decimal64(10, 2)": [(123).to_bytes(8, "little")],
    "decimal128(10, 2)": "ValueError",
}
PY
