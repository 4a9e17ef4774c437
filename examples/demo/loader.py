"""The loader: the one process that has the tables from the files. It works out the right
answers with plain pandas, and puts the tables into one store after the other.
"""

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import pandas as pd
from data import LARGE, all_tables, by_month, stored_bytes
from questions import QUESTIONS
from stores import StoreAt


@dataclass(frozen=True)
class Loaded:
    rows: dict[str, int]
    bytes: dict[str, int]
    answers: dict[tuple[str, bool], pd.DataFrame]


@dataclass(frozen=True)
class Put:
    """Seconds for the enlarged flights, the first time and once more."""

    first_s: float
    again_s: float


def load(pipe: Connection, large_bytes: int) -> None:
    """The process: sends `Loaded`, then does a put of everything for each store named."""
    tables = all_tables(large_bytes)
    pipe.send(_answer_all(tables))
    while True:
        try:
            where = pipe.recv()
        except EOFError:
            return
        pipe.send(_put_all(tables, where))


def _answer_all(tables: dict[str, pd.DataFrame]) -> Loaded:
    answers = {}
    for large in (False, True):

        def get(key: str, large: bool = large) -> pd.DataFrame:
            return tables.get(LARGE + key if large else key, tables[key])

        for name, question in QUESTIONS.items():
            answers[name, large] = question(get)
    return Loaded(
        {key: len(table) for key, table in tables.items()},
        {key: stored_bytes(table) for key, table in tables.items()},
        answers,
    )


def _put_all(tables: dict[str, pd.DataFrame], where: StoreAt) -> Put:
    store = where.open()
    for key, table in (by_month(tables["flights"]) | tables).items():
        if key != LARGE + "flights":
            store.put(key, table)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        store.put(LARGE + "flights", tables[LARGE + "flights"])
        seconds.append(time.perf_counter() - started)
    store.close()
    return Put(*seconds)
