#!/bin/bash
# awkward.from_arrow reads dictionary arrays by int32 codes only, of those that people have.
#
# Codes of 8 bits (what pandas makes of small categories) end in a KeyError that names a kernel,
# or with a null and uint8 in an OverflowError; codes of int16 in a TypeError. All are valid
# Arrow, and int32 codes with the same values are read.
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


def read(codes, kind):
    array = pa.DictionaryArray.from_arrays(pa.array(codes, kind), pa.array(["a", "b"]))
    try:
        return ak.from_arrow(array).tolist()
    except (KeyError, OverflowError, TypeError) as error:
        return type(error).__name__


kinds = (pa.int8(), pa.uint8(), pa.int16(), pa.int32())
whole = [read([0, 1], kind) for kind in kinds]
nulls = [read([0, 1, None], kind) for kind in kinds]
print("without null:", whole, "\nwith null:", nulls)
assert whole == ["KeyError", "KeyError", "TypeError", ["a", "b"]]
assert nulls == ["KeyError", "OverflowError", "TypeError", ["a", "b", None]]
PY
