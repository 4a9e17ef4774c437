"""What the oldest packages that are supported (requirements-oldest.txt) do otherwise."""

from types import ModuleType

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest


def _major(module: ModuleType) -> int:
    return int(module.__version__.split(".")[0])


PANDAS_3, NUMPY_2, PYARROW_20 = _major(pd) >= 3, _major(np) >= 2, _major(pa) >= 20
INDEX_TYPE = "equiv" if PANDAS_3 else False  # pandas 2 sees none in empty text

needs_pandas_3 = pytest.mark.skipif(not PANDAS_3, reason="pandas 2 has text in objects")
needs_polars_2 = pytest.mark.skipif(
    _major(pl) < 2, reason="polars 1 exports parts of structs, and enums, wrongly"
)
needs_pyarrow_20 = pytest.mark.skipif(
    not PYARROW_20, reason="pyarrow 19 reads CSV with more memory"
)
