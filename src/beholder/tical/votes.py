"""CREMA-D votes: what people heard, saw, and heard and saw. Raters drawn as input, the others left out as truth.

The inputs are human judgements, not signals. Data: see the source's README (Cao et al., 2014); `votes.csv` has one row
per clip and condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.csv
from numpy.typing import NDArray

from beholder.errors import UserError

EMOTIONS = ("A", "D", "F", "H", "N", "S")
MODALITIES = ("voice", "face")

_CONDITIONS = (*MODALITIES, "av")
_FIRST_SEED = 1000
_RESEARCH_SEED = 6
_RESEARCH_SHARE = 0.5

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Votes:
    """Counts per condition, (clips, 6), clips in one order, and the actor of each clip."""

    counts: dict[str, Counts]
    actor: NDArray[np.int64]


@dataclass(frozen=True)
class Round:
    """One draw of raters. Rows are the clips on which people who saw and heard have one majority."""

    x: dict[str, NDArray[np.float64]]
    """Per modality the shares of the drawn votes, (n, 6)."""
    left_out: dict[str, NDArray[np.int64]]
    """Per modality the majority of the raters that were not drawn, -1 where there is none."""
    y: NDArray[np.int64]
    """The majority of those who saw and heard."""
    actor: NDArray[np.int64]
    hard: NDArray[np.bool_]
    """Whether the majorities of all raters of voice and of face are unique and differ."""

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether the left-out raters have a majority for both modalities, so that conflict is known."""
        judged: NDArray[np.bool_] = (self.left_out["voice"] >= 0) & (self.left_out["face"] >= 0)
        return judged

    @property
    def conflict(self) -> NDArray[np.bool_]:
        """Whether the left-out majorities differ; meaningful where `judged`."""
        conflict: NDArray[np.bool_] = self.left_out["voice"] != self.left_out["face"]
        return conflict


def read_votes(folder: Path) -> Votes:
    """Raises UserError where there is no `votes.csv`, or not each clip has its three conditions."""
    file = folder / "votes.csv"
    if not file.is_file():
        raise UserError(f"no votes.csv in {folder}; it is the tidy table of CREMA-D's tabulatedVotes.csv")
    table = pyarrow.csv.read_csv(file)
    condition = np.array(table["condition"].to_pylist())
    clip = np.array(table["clip"].to_pylist())
    counts = np.stack([table[f"votes_{e}"].to_numpy() for e in EMOTIONS], axis=1).astype(np.int64)
    order = {c: np.flatnonzero(condition == c)[np.argsort(clip[condition == c])] for c in _CONDITIONS}
    if not all(np.array_equal(clip[order[c]], clip[order["av"]]) for c in MODALITIES):
        raise UserError(f"{file}: not every clip has one row for each of {', '.join(_CONDITIONS)}")
    actor = table["actor"].to_numpy().astype(np.int64)
    return Votes({c: counts[rows] for c, rows in order.items()}, actor[order["av"]])


def majority(counts: Counts) -> NDArray[np.int64]:
    """Column of the most votes per row, -1 where two or more share them: a tie is no majority."""
    top = counts.max(axis=1, keepdims=True)
    return np.where((counts == top).sum(axis=1) == 1, counts.argmax(axis=1), -1)


def draw_round(votes: Votes, k: int, repeat: int) -> Round:
    """`k` raters per clip and modality drawn without replacement; the repeat is the seed."""
    rng = np.random.default_rng(_FIRST_SEED + repeat)
    drawn = {m: np.stack([rng.multivariate_hypergeometric(row, k) for row in votes.counts[m]]) for m in MODALITIES}
    y, full = majority(votes.counts["av"]), {m: majority(votes.counts[m]) for m in MODALITIES}
    hard = (full["voice"] >= 0) & (full["face"] >= 0) & (full["voice"] != full["face"])
    rows = y >= 0
    return Round(
        {m: drawn[m][rows] / k for m in MODALITIES},
        {m: majority(votes.counts[m] - drawn[m])[rows] for m in MODALITIES},
        y[rows],
        votes.actor[rows],
        hard[rows],
    )


def research_actors(actor: NDArray[np.int64]) -> NDArray[np.int64]:
    """Half of the actors, on which alone variants were tried and chosen. The others are for the registered study."""
    names = np.unique(actor)
    shuffled = np.random.default_rng(_RESEARCH_SEED).permutation(names)
    return np.sort(shuffled[: int(len(names) * _RESEARCH_SHARE)])
