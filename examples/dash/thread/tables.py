"""The flights of the demo's data package, for the programs here."""

import sys
from pathlib import Path

import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[2] / "demo"))

from data import read_tables


def flights() -> pd.DataFrame:
    """New York's 336,776 flights of 2013."""
    return read_tables()["flights"]
