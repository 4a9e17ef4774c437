#!/bin/bash
# A Delta table with arrow.uuid or a tensor column can be written, and not be read as Arrow.
#
# write_deltalake() keeps the extension's name and widens its storage (fixed-size binary to
# binary, fixed-size list to list). pyarrow knows both extensions, and refuses the schema on the
# way out: to_pyarrow_table() is an ArrowInvalid for the whole table, other columns too.
#
# Seen with deltalake 1.6.6, pyarrow 26.0.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check deltalake==1.6.6 pyarrow==26.0.1
cd "$dir"
venv/bin/python - <<'PY'
import uuid

import deltalake
import pyarrow as pa

storage = {
    "uuid": (pa.uuid(), pa.array([uuid.UUID(int=1).bytes], pa.binary(16))),
    "tensor": (pa.fixed_shape_tensor(pa.int32(), [2]), pa.array([[1, 2]], pa.list_(pa.int32(), 2))),
}
errors = {}
for name, (kind, values) in storage.items():
    table = pa.table({"x": pa.ExtensionArray.from_storage(kind, values), "other": [1]})
    deltalake.write_deltalake(name, table)
    try:
        pa.table(deltalake.DeltaTable(name).to_pyarrow_table(columns=["other", "x"]))
        errors[name] = None
    except pa.ArrowInvalid as error:
        errors[name] = str(error)
print(errors)
assert errors["uuid"] == "Invalid storage type for UuidType: binary"
assert "Expected FixedSizeList storage type" in errors["tensor"]
PY
