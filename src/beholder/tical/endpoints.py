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
    """A number with its 95 % interval."""

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


@dataclass(frozen=True)
class Resamples:
    """Actors drawn with replacement, each with all their clips."""

    code: NDArray[np.int64]
    """(n,) the actor of each row, from 0."""
    weights: Array
    """(RESAMPLES + 1, actors) how often each was drawn; the first draws all once, for the value itself."""


def resample_actors(actor: NDArray[np.int64], seed: int = 0) -> Resamples:
    """The same actors and seed give the same resamples, whatever is measured on them."""
    names, code = np.unique(actor, return_inverse=True)
    drawn = np.array(list(resample_counts(len(names), None, RESAMPLES, seed)), dtype=np.float64)
    return Resamples(code, np.concatenate([np.ones((1, len(names))), drawn]))


def mean_of(metric: Metric, answers: Answers, resamples: Resamples) -> Array:
    """The mean over rows, averaged over repeats, for each resample: (resamples,)."""
    each = []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        values, counted = metric(drawn, told)
        total, n = (np.bincount(resamples.code, part) for part in (values * counted, counted))
        each.append(resamples.weights @ total / (resamples.weights @ n))
    out: Array = np.mean(each, axis=0)
    return out


def conflict_auroc(score: Callable[[Told], Array], answers: Answers, resamples: Resamples) -> Array:
    """AUROC of `score` (higher: more conflict) for left-out majorities that differ, averaged over repeats."""
    each = []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        rows = drawn.judged
        judged = Resamples(resamples.code[rows], resamples.weights)
        each.append(resampled_auroc(score(told)[rows], drawn.conflict[rows], judged))
    out: Array = np.mean(each, axis=0)
    return out


def error_auroc(score: Callable[[Told], Array], answers: Answers, resamples: Resamples) -> Array:
    """AUROC of `score` (higher: more doubt) for wrong fused predictions, averaged over repeats."""
    each = []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        each.append(resampled_auroc(score(told), fused_hits(drawn, told)[0] == 0, resamples))
    out: Array = np.mean(each, axis=0)
    return out


def resampled_auroc(score: Array, positive: NDArray[np.bool_], resamples: Resamples) -> Array:
    """AUROC under each resample, ties count half: (resamples,).

    How often a positive of one actor is above a negative of another is counted once, (actors, actors); a resample then
    is a quadratic form of it.
    """
    values, place = np.unique(score, return_inverse=True)
    shape = (len(values), resamples.weights.shape[1])
    cell = place * shape[1] + resamples.code
    up, down = (np.bincount(cell, part, shape[0] * shape[1]).reshape(shape) for part in (positive, ~positive))
    wins = up.T @ (np.cumsum(down, axis=0) - down / 2)
    w = resamples.weights
    out: Array = ((w @ wins) * w).sum(axis=1) / ((w @ up.sum(axis=0)) * (w @ down.sum(axis=0)))
    return out


def interval(values: Array) -> Interval:
    """Of what `mean_of` or `conflict_auroc` gave, or of a difference of two."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))


def fused_calibration_error(drawn: Round, told: Told) -> float:
    """Expected calibration error of the fused prediction."""
    return calibration_error(fused_hits(drawn, told)[0], told.fused.max(axis=1))
