"""What the study measures: accuracies and AUROC with paired 95 % intervals over actors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beholder.evaluate.bootstrap import resample_counts
from beholder.tical.metrics import calibration_error
from beholder.tical.study import Told
from beholder.tical.votes import Round

Array = NDArray[np.float64]

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Answers:
    """One arm over all repeats, with the rounds it was measured on."""

    rounds: Sequence[Round]
    told: Sequence[Told]


Metric = Callable[[Round, Told], tuple[Array, Array]]
"""(values per row, which rows count), for means."""


def fused_hits(drawn: Round, told: Told) -> tuple[Array, Array]:
    """Whether the fused prediction is the majority of those who see and hear."""
    return (told.fused.argmax(axis=1) == drawn.y).astype(float), np.ones(len(drawn.y))


def fused_hits_in_conflict(drawn: Round, told: Told) -> tuple[Array, Array]:
    """The same where all raters' majorities for voice and face differ."""
    return fused_hits(drawn, told)[0], drawn.hard.astype(float)


def voice_hits(drawn: Round, told: Told) -> tuple[Array, Array]:
    """Whether the voice's pseudo label is the majority of the raters of the voice who were left out."""
    truth = drawn.left_out["voice"]
    return (told.voice.argmax(axis=1) == truth).astype(float), (truth >= 0).astype(float)


def face_hits(drawn: Round, told: Told) -> tuple[Array, Array]:
    """As `voice_hits`."""
    truth = drawn.left_out["face"]
    return (told.face.argmax(axis=1) == truth).astype(float), (truth >= 0).astype(float)


def draws(actor: NDArray[np.int64], seed: int = 0) -> Array:
    """Resamples of actors, (RESAMPLES + 1, n) weights per row; the first weighs all alike, for the value itself."""
    ones = np.ones((1, len(actor)))
    counts = list(resample_counts(len(actor), actor.tolist(), RESAMPLES, seed))
    return np.concatenate([ones, np.array(counts, dtype=np.float64)])


def mean_of(metric: Metric, answers: Answers, weights: Array) -> Array:
    """The mean over rows, averaged over repeats, for each resample: (resamples,)."""
    each = []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        values, counted = metric(drawn, told)
        each.append(weights @ (values * counted) / (weights @ counted))
    out: Array = np.mean(each, axis=0)
    return out


def conflict_auroc(score: Callable[[Told], Array], answers: Answers, weights: Array) -> Array:
    """AUROC of `score` (higher: more conflict) for left-out majorities that differ, averaged over repeats."""
    each = []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        rows = drawn.judged
        each.append(weighted_auroc(score(told)[rows], drawn.conflict[rows], weights[:, rows]))
    out: Array = np.mean(each, axis=0)
    return out


def error_auroc(score: Callable[[Told], Array], answers: Answers, weights: Array) -> Array:
    """AUROC of `score` (higher: more doubt) for wrong fused predictions, averaged over repeats."""
    each = []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        each.append(weighted_auroc(score(told), fused_hits(drawn, told)[0] == 0, weights))
    out: Array = np.mean(each, axis=0)
    return out


def weighted_auroc(score: Array, positive: NDArray[np.bool_], weights: Array) -> Array:
    """AUROC for each row of weights (r, n), ties count half: (r,)."""
    _, place = np.unique(score, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    up = np.add.reduceat((weights * positive)[:, order], starts, axis=1)
    down = np.add.reduceat((weights * ~positive)[:, order], starts, axis=1)
    below = np.cumsum(down, axis=1) - down / 2
    out: Array = (up * below).sum(axis=1) / (up.sum(axis=1) * down.sum(axis=1))
    return out


def interval(values: Array) -> Interval:
    """Of what `mean_of` or `conflict_auroc` gave, or of a difference of two."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))


def fused_calibration_error(drawn: Round, told: Told) -> float:
    """Expected calibration error of the fused prediction."""
    return calibration_error(fused_hits(drawn, told)[0], told.fused.max(axis=1))
