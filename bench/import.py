"""How long `import framecache` takes in a fresh interpreter: against 30 ms, and numpy.

The best of several, since only an import that nothing disturbed says what it costs.
Prints figures as the programs of this folder do.
"""

import json
import subprocess
import sys

RUNS = 15
PROGRAM = (
    "import time; began = time.perf_counter_ns(); import {0}; "
    "print(time.perf_counter_ns() - began)"
)


def best(module: str) -> int:
    command = [sys.executable, "-c", PROGRAM.format(module)]
    return min(
        int(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(RUNS)
    )


ours = best("framecache")
for name, baseline in (("30_ms", 30_000_000), ("numpy", best("numpy"))):
    figure = {"figure": f"import/{name}", "unit": "ns"}
    print(
        json.dumps(figure | {"framecache": ours, "baseline": baseline, "against": name})
    )
