#!/bin/bash
# pyreadr writes the smallest int32 as missing, and rounds int64, without a word.
#
# R has no int64 and takes -2**31 for NA. write_rds() makes doubles of int64 (2**53 + 1 becomes
# 2**53) and lets the int32 that means NA pass as it is; neither is an error or a warning.
#
# Seen with pyreadr 0.5.8, pandas 3.1.1, numpy 2.4.6 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check pyreadr==0.5.8 pandas==3.1.1 numpy==2.4.6
cd "$dir"
venv/bin/python - <<'PY'
import numpy as np
import pandas as pd
import pyreadr

frame = pd.DataFrame(
    {
        "i32": np.array([-(2**31), 5], dtype="int32"),
        "i64": np.array([2**53 + 1, 5], dtype="int64"),
    }
)
pyreadr.write_rds("x.rds", frame)
found = pyreadr.read_r("x.rds")[None]
print("put:\n", frame, "\nread:\n", found)
assert pd.isna(found["i32"].iloc[0]) and found["i32"].iloc[1] == 5
assert int(found["i64"].iloc[0]) == 2**53
PY
