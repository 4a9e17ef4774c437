#!/bin/bash
# Flask-Caching memoizes a function of a DataFrame by what repr() shows of it.
#
# The key of memoize() is made of the arguments' repr. pandas cuts a long frame's to its first
# and last five rows, so two frames that differ between have one key, and the second gets the
# first one's result. polars and pyarrow cut likewise.
#
# Seen with flask-caching 2.5.1, flask 3.1.3, pandas 3.1.1 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check flask-caching==2.5.1 flask==3.1.3 pandas==3.1.1
cd "$dir"
venv/bin/python - <<'PY'
import flask
import flask_caching
import pandas as pd

app = flask.Flask("app")
cache = flask_caching.Cache(app, config={"CACHE_TYPE": "SimpleCache"})


@cache.memoize()
def total(frame):
    return int(frame["x"].sum())


one = pd.DataFrame({"x": range(1000)})
two = one.copy()
two.loc[500, "x"] = 1_000_000
with app.app_context():
    found = total(one), total(two)
print("memoized:", found, "right:", (int(one["x"].sum()), int(two["x"].sum())))
assert found == (499500, 499500) and int(two["x"].sum()) == 1499000
PY
