"""CREMA-D votes: what people heard, saw, and heard and saw. Raters drawn as input, the others the truth; or all.

The inputs are human judgements, not signals. Data: see the source's README (Cao et al., 2014); `votes.csv` has one row
per clip and condition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.consistency import jensen_shannon

EMOTIONS = ("A", "D", "F", "H", "N", "S")
MODALITIES = ("voice", "face")

_CONDITIONS = (*MODALITIES, "av")
_FIRST_SEED = 1000
_RESEARCH_SEED = 6
_RESEARCH_SHARE = 0.5

Counts = NDArray[np.int64]

FullDesign = Literal["full", "full-intended"]
Design = int | FullDesign
"""How many raters are drawn per clip and modality; or all of them, with the levels they gave. `full` asks for what
those who saw and heard say, as draws do, `full-intended` for what the actor was to show."""
FULL_DESIGNS: tuple[FullDesign, ...] = get_args(FullDesign)


@dataclass(frozen=True)
class Votes:
    """Counts per condition, (clips, 6), clips in one order, and the actor of each clip."""

    counts: dict[str, Counts]
    actor: NDArray[np.int64]
    levels: dict[str, NDArray[np.float64]] | None = None
    """Per modality how intense raters found each emotion, normalised, (clips, 6) in [0, 1], 0 where nobody chose it."""
    intended: NDArray[np.int64] | None = None
    """The emotion that the actor was asked to show. None, as `levels`, where the file doesn't say."""


@dataclass(frozen=True)
class Round:
    """One draw of raters, or all of them. Rows are the clips whose target is known."""

    x: dict[str, NDArray[np.float64]]
    """Per modality the shares of the drawn votes, (n, 6); with all raters their levels beside them, (n, 12)."""
    left_out: dict[str, NDArray[np.int64]]
    """Per modality the majority of the raters that were not drawn, -1 where there is none; with all raters theirs."""
    y: NDArray[np.int64]
    """The majority of those who saw and heard, or the intended emotion."""
    actor: NDArray[np.int64]
    hard: NDArray[np.bool_]
    """Whether the majorities of all raters of voice and of face are unique and differ."""
    divergence: NDArray[np.float64]
    """Jensen-Shannon divergence of the shares of all raters of voice and of face, in bits."""

    @property
    def shares(self) -> dict[str, NDArray[np.float64]]:
        """`x` without levels: distributions (n, 6)."""
        return {m: x[:, : len(EMOTIONS)] for m, x in self.x.items()}

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
    """Raises UserError where there is no `votes.csv`, or not each clip has its three conditions.

    Levels and intended emotions are read where it has them; UserError for levels that are not within 0 and 100.
    """
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
    levels = _levels(table, file)
    return Votes(
        {c: counts[rows] for c, rows in order.items()},
        actor[order["av"]],
        None if levels is None else {m: levels[order[m]] for m in MODALITIES},
        _intended(table, order["av"], file),
    )


def _levels(table: pa.Table, file: Path) -> NDArray[np.float64] | None:
    names = [f"level_norm_{e}" for e in EMOTIONS]
    if not set(names) <= set(table.column_names):
        return None
    try:
        levels = np.stack([table[name].cast("float64").to_numpy(zero_copy_only=False) for name in names], axis=1) / 100
    except pa.ArrowInvalid as error:
        raise UserError(f"{file}: {error}; a level is a number from 0 to 100, or empty") from None
    levels = np.nan_to_num(levels)
    if not ((levels >= 0) & (levels <= 1)).all():
        raise UserError(f"{file}: a level of {100 * levels.flat[np.abs(levels - 0.5).argmax()]:g}; it is 0 to 100")
    return levels


def _intended(table: pa.Table, rows: NDArray[np.int64], file: Path) -> NDArray[np.int64] | None:
    if "intended_emotion" not in table.column_names:
        return None
    names = np.array(table["intended_emotion"].to_pylist())[rows]
    if unknown := set(names.tolist()) - set(EMOTIONS):
        raise UserError(f"{file}: intended_emotion {min(map(str, unknown))!r}; it is one of {', '.join(EMOTIONS)}")
    return np.searchsorted(EMOTIONS, names)


def majority(counts: Counts) -> NDArray[np.int64]:
    """Column of the most votes per row, -1 where two or more share them: a tie is no majority."""
    top = counts.max(axis=1, keepdims=True)
    return np.where((counts == top).sum(axis=1) == 1, counts.argmax(axis=1), -1)


def design_name(design: Design) -> str:
    """As files are called."""
    return f"k{design}" if isinstance(design, int) else design


def make_round(votes: Votes, design: Design, repeat: int) -> Round:
    """A draw of raters; or all of them, the same in every repeat. Raises UserError as `whole_round` does."""
    return draw_round(votes, design, repeat) if isinstance(design, int) else whole_round(votes, design)


def whole_round(votes: Votes, design: FullDesign) -> Round:
    """All raters as input, and as truth for unimodal labels and conflict: what they say is no held-out truth.

    Raises UserError where the votes have no levels, or no intended emotion and it is asked for.
    """
    if votes.levels is None:
        raise UserError("these votes have no levels (level_norm_A to level_norm_S); draw raters instead")
    y = majority(votes.counts["av"]) if design == "full" else votes.intended
    if y is None:
        raise UserError("these votes have no column intended_emotion; ask for the majority instead (full)")
    x = {m: np.hstack([_shares(votes.counts[m]), votes.levels[m]]) for m in MODALITIES}
    return _round(votes, x, {m: votes.counts[m] for m in MODALITIES}, y)


def draw_round(votes: Votes, k: int, repeat: int) -> Round:
    """`k` raters per clip and modality without replacement, or all where there are fewer; the repeat is the seed."""
    rng = np.random.default_rng(_FIRST_SEED + repeat)
    drawn = {m: np.stack([_draw(rng, row, k) for row in votes.counts[m]]) for m in MODALITIES}
    x = {m: _shares(drawn[m]) for m in MODALITIES}
    return _round(votes, x, {m: votes.counts[m] - drawn[m] for m in MODALITIES}, majority(votes.counts["av"]))


def _draw(rng: np.random.Generator, row: Counts, k: int) -> Counts:
    drawn: Counts = rng.multivariate_hypergeometric(row, min(k, row.sum()))
    return drawn


def _round(
    votes: Votes, x: dict[str, NDArray[np.float64]], judges: dict[str, Counts], target: NDArray[np.int64]
) -> Round:
    full = {m: majority(votes.counts[m]) for m in MODALITIES}
    hard = (full["voice"] >= 0) & (full["face"] >= 0) & (full["voice"] != full["face"])
    divergence = jensen_shannon(*(_shares(votes.counts[m]) for m in MODALITIES))
    rows = target >= 0
    return Round(
        {m: x[m][rows] for m in MODALITIES},
        {m: majority(judges[m])[rows] for m in MODALITIES},
        target[rows],
        votes.actor[rows],
        hard[rows],
        divergence[rows],
    )


def _shares(counts: Counts) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return shares


def research_actors(actor: NDArray[np.int64]) -> NDArray[np.int64]:
    """Half of the actors, on which alone variants were tried and chosen. The others are for the registered study."""
    names = np.unique(actor)
    shuffled = np.random.default_rng(_RESEARCH_SEED).permutation(names)
    return np.sort(shuffled[: int(len(names) * _RESEARCH_SHARE)])
