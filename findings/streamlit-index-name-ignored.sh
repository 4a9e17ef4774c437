#!/bin/bash
# Streamlit takes frames for the same that differ in the name of their index.
#
# st.cache_data hashes the values of the index and of the columns, and the columns' names, not
# the index's name (nor attrs): a function that reads it gets another frame's. Of a Series
# neither name counts.
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
import pandas as pd
import streamlit as st


@st.cache_data
def index_name(frame):
    return frame.index.name


@st.cache_data
def series_name(series):
    return series.name


frame = pd.DataFrame({"x": [1, 2]})
frames = [index_name(frame.rename_axis(name)) for name in ("city", "year")]
series = [series_name(pd.Series([1, 2], name=name)) for name in ("city", "year")]
print("names of two frames' indexes:", frames, "of two series:", series)
assert frames == ["city", "city"] and series == ["city", "city"]
PY
