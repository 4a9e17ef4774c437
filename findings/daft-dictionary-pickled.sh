#!/bin/bash
# Daft makes pickled Python objects of dictionary columns, and hands out the pickles as Arrow.
#
# from_arrow() of dictionary<int8, string> (what pandas makes of a category), of string views
# and of decimal64 gives a column of type Python; to_arrow() then yields an extension over
# binary with a pickle a row, of twenty bytes and more where a code takes one. A plain string
# column of the same rows goes through unchanged.
#
# Seen with daft 0.7.26, pyarrow 25.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check daft==0.7.26 pyarrow==25.0.1
cd "$dir"
venv/bin/python - <<'PY'
import daft
import pyarrow as pa

plain = pa.array(["a", "b", "a"])
codes = plain.dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))
out = {}
for name, array in (("plain", plain), ("dictionary", codes), ("view", plain.cast(pa.string_view()))):
    frame = daft.from_arrow(pa.table({"x": array}))
    out[name] = (str(frame.schema()["x"].dtype), frame.to_arrow()["x"].to_pylist())
print(out)
assert out["plain"][1] == ["a", "b", "a"]
for name in ("dictionary", "view"):
    kind, values = out[name]
    assert kind == "Python"
    assert all(isinstance(v, bytes) and v[:2] == b"\x80\x05" for v in values)
PY
