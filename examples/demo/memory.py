"""What a process has in memory, by the kernel's own account, and reading every page."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

PAGE = 4096


@dataclass(frozen=True)
class Memory:
    private: int  # bytes no other process maps: Private_Clean + Private_Dirty
    pss: int  # those, and this process's share of what several map

    def __sub__(self, other: "Memory") -> "Memory":
        return Memory(self.private - other.private, self.pss - other.pss)


def measure() -> Memory:
    fields: dict[str, int] = {}
    with open("/proc/self/smaps_rollup") as lines:
        for line in lines:
            name, _, rest = line.partition(":")
            if rest.endswith("kB\n"):
                fields[name] = int(rest.split()[0]) * 1024
    return Memory(fields["Private_Clean"] + fields["Private_Dirty"], fields["Pss"])


def read_every_page(table: pd.DataFrame) -> int:
    """Touches all of the table where it lies; returns something made of every page."""
    return sum(_touch(table[name]) for name in table.columns)


def _touch(column: "pd.Series[object]") -> int:
    if isinstance(column.dtype, np.dtype):
        return _touch_bytes(column.to_numpy())
    total = 0
    for chunk in column.array.__arrow_array__().chunks:  # strings: pyarrow's buffers
        buffers = [b for b in chunk.buffers() if b]
        total += sum(_touch_bytes(np.frombuffer(b, np.uint8)) for b in buffers)
    return total


def _touch_bytes(values: np.ndarray) -> int:
    raw = values.view(np.uint8)
    return int(raw[::PAGE].sum(dtype=np.int64)) + int(raw[-1:].sum())
