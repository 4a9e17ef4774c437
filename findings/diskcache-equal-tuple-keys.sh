#!/bin/bash
# diskcache misses a key that equals the stored one, if its strings are other objects.
#
# A key that is no str, bytes or number is stored as its pickle, and pickle writes an object
# that occurs twice once. So ("ab cd", "ab cd") with one string twice, and the same tuple with
# two equal strings (one read from a request, say), are two keys of the cache; each memoized
# call over such arguments computes twice.
#
# Seen with diskcache 5.6.3 on 2026-12-01. Exits 0 while that is so, 1 when it has changed.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check diskcache==5.6.3
cd "$dir"
venv/bin/python - <<'PY'
import diskcache

text = "ab cd"
other = "".join(["ab", " cd"])
cache = diskcache.Cache("store")
cache[(text, text)] = "value"
found = cache.get((text, text)), cache.get((text, other))
print("keys equal:", (text, text) == (text, other), "found:", found)
assert (text, text) == (text, other) and found == ("value", None)
PY
