#!/bin/bash
# diskcache gives None for a stored NaN.
#
# Floats go to SQLite as they are, which stores NaN as NULL. The key is there, and its value is
# None: what get() returns for a key that is not. numpy.float64("nan") too, since it is a float;
# infinity and a NaN inside of a tuple come back.
#
# Seen with diskcache 5.6.3 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check diskcache==5.6.3
cd "$dir"
venv/bin/python - <<'PY'
import math

import diskcache

cache = diskcache.Cache("store")
cache["nan"], cache["inf"], cache["tuple"] = math.nan, math.inf, (math.nan,)
print("in the cache:", "nan" in cache, "values:", cache["nan"], cache["inf"], cache["tuple"])
assert "nan" in cache and cache["nan"] is None
assert cache["inf"] == math.inf and math.isnan(cache["tuple"][0])
PY
