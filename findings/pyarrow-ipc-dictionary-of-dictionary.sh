#!/bin/bash
# pyarrow writes a dictionary of dictionaries to an IPC stream that it cannot read.
#
# A dictionary column whose values are a dictionary themselves is valid Arrow: the array
# validates in full, casts and compares. The stream is written without an error; reading it back
# ends in an OSError about buffers, for a batch of one row. A dictionary within a list or a
# struct is read.
#
# Seen with pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import pyarrow as pa

inner = pa.array(["x", "y"]).dictionary_encode()
outer = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), inner)
nested = pa.ListArray.from_arrays(pa.array([0, 2]), inner)
outer.validate(full=True)


def through_ipc(array):
    batch = pa.record_batch({"x": array})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    try:
        return pa.ipc.open_stream(sink.getvalue()).read_all()["x"].to_pylist()
    except OSError as error:
        return f"OSError: {error}"


print("dictionary in a list:", through_ipc(nested))
print("dictionary in a dictionary:", through_ipc(outer))
assert through_ipc(nested) == [["x", "y"]]
assert "buffer_index out of range" in through_ipc(outer)
PY
