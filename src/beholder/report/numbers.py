"""What the page counts: how scores spread, over all pictures and in each folder."""

from __future__ import annotations

import os.path
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beholder.task import TASKS, Task

N_BINS = 25
"""Of a histogram over 0 to 100."""


@dataclass(frozen=True)
class Spread:
    """How scores of one task spread."""

    n: int
    low: float
    """Tenth percentile."""
    quarter: float
    median: float
    three_quarters: float
    high: float
    """Ninetieth percentile."""
    counts: tuple[int, ...]
    """Pictures in each of `N_BINS` equal bins from 0 to 100."""


@dataclass(frozen=True)
class Folder:
    """The pictures that lie directly in one folder."""

    path: str
    n: int
    n_failed: int
    spreads: dict[Task, Spread]
    """Only of tasks with a score in this folder."""


@dataclass(frozen=True)
class Maker:
    """A model whose rows are in the table. A cascade has two, any other run one."""

    name: str
    sha256: str
    preprocess: str
    n_scored: int


def makers_of(rows: pa.Table) -> list[Maker]:
    """Models that rows are by, in order of their first; those without a scored row only where there is no other."""
    columns = (rows[name].to_pylist() for name in ("model", "weights_sha256", "preprocess", "status"))
    n_scored: dict[tuple[str, str, str], int] = {}
    for name, sha256, preprocess, status in zip(*columns, strict=True):
        who = (name, sha256, preprocess)
        n_scored[who] = n_scored.get(who, 0) + (status == "ok")
    makers = [Maker(*who, n) for who, n in n_scored.items()]
    return [maker for maker in makers if maker.n_scored] or makers


def spread_of(scores: NDArray[np.floating]) -> Spread | None:
    """The spread of scores from 0 to 100, NaN where there is none; None if there are none at all."""
    values = scores[~np.isnan(scores)]
    if not len(values):
        return None
    low, quarter, median, three_quarters, high = map(float, np.quantile(values, (0.1, 0.25, 0.5, 0.75, 0.9)))
    counts, _ = np.histogram(values, bins=N_BINS, range=(0.0, 100.0))
    bins = tuple(int(count) for count in counts)
    return Spread(len(values), low, quarter, median, three_quarters, high, bins)


def scores_of(rows: pa.Table, task: Task) -> NDArray[np.float64]:
    """One score per row, NaN where there is none."""
    scores: NDArray[np.float64] = rows[task].to_numpy().astype(np.float64)
    return scores


def folders_of(rows: pa.Table) -> list[Folder]:
    """A summary per folder, in order of path."""
    places: dict[str, list[int]] = defaultdict(list)
    for i, path in enumerate(rows["path"].to_pylist()):
        places[os.path.dirname(path)].append(i)
    failed = np.array([status != "ok" for status in rows["status"].to_pylist()], dtype=bool)
    scores = {task: scores_of(rows, task) for task in TASKS}
    folders = []
    for path in sorted(places):
        index = np.array(places[path])
        spreads = {task: spread_of(scores[task][index]) for task in TASKS}
        known = {task: spread for task, spread in spreads.items() if spread is not None}
        folders.append(Folder(path, len(index), int(failed[index].sum()), known))
    return folders
