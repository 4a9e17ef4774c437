#!/bin/bash
# Streamlit caches large arguments by a sample, and gives one frame the result of another.
#
# st.cache_data hashes 10,000 rows of a pandas or polars frame of more than 50,000 rows, and
# 100,000 numbers of a numpy array of more than 500,000, always the same ones. A change
# elsewhere does not change the key. Here one value of 100,000 rows is changed at eleven places
# in turns, each misses the sample, and the old sum is given back.
#
# Seen with streamlit 1.67.0, pandas 3.1.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check streamlit==1.67.0 pandas==3.1.1
cd "$dir"
venv/bin/python - <<'PY'
import logging

logging.disable(logging.CRITICAL)  # it warns that no server runs
import numpy as np
import pandas as pd
import streamlit as st


@st.cache_data
def total(frame):
    return float(frame["x"].sum())


frame = pd.DataFrame({"x": np.zeros(100_000)})
wrong, places = 0, range(0, 100_000, 9973)
total(frame)
for place in places:
    other = frame.copy()
    other.loc[place, "x"] = 1.0
    wrong += total(other) != 1.0
print("wrong sums:", wrong, "of", len(places))
assert wrong >= len(places) // 2
PY
