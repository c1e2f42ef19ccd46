"""What arms say of the shared label, and nothing else: accuracy by part of the clips, F1, calibration.

Each beside the better of two baselines, paired over actors. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from beholder.tical.endpoints import Answers, Interval, Resamples, fused_hits, interval, mean_of, resample_actors
from beholder.tical.metrics import BINS, confidence_bin
from beholder.tical.study import Told
from beholder.tical.votes import EMOTIONS, Round

Array = NDArray[np.float64]

RIVALS = ("logistic", "tical-concat")
"""Baselines; the better one in accuracy is subtracted."""

ALONE = ("votes", "logistic")
"""Arms that are also shown by one modality's answer."""

CUTS = (0.171, 0.379)
"""Bits of Jensen-Shannon divergence between the votes for voice and for face, that part all 71 actors' clips in
thirds."""

PARTS: dict[str, Callable[[Round], NDArray[np.bool_]]] = {
    "conflict": lambda drawn: drawn.hard,
    "rest": lambda drawn: ~drawn.hard,
    "JSD low": lambda drawn: drawn.divergence <= CUTS[0],
    "JSD middle": lambda drawn: (drawn.divergence > CUTS[0]) & (drawn.divergence <= CUTS[1]),
    "JSD high": lambda drawn: drawn.divergence > CUTS[1],
}

MEASURES = ("accuracy", *PARTS, "weighted F1", "macro F1", "ECE")
COLUMNS = ("arm", *MEASURES, "less the better baseline", "the same, conflict")


def fused_rows(known: Mapping[str, Answers]) -> tuple[list[list[str]], dict[str, Any]]:
    """Rows of `COLUMNS`, and the numbers behind them with 95 % intervals, ready for JSON.

    Without both of `RIVALS` nothing is subtracted.
    """
    first = next(iter(known.values())).rounds[0]
    actors = resample_actors(first.actor)
    found = {}
    for arm, answers in known.items():
        found[arm] = measure_fused(answers, actors)
        if arm in ALONE:
            found |= {f"{arm}, {m} alone": measure_fused(_alone(answers, m), actors) for m in ("voice", "face")}
    rivals = [arm for arm in RIVALS if arm in found]
    best = max(rivals, key=lambda arm: found[arm]["accuracy"][0]) if len(rivals) == len(RIVALS) else None
    rows, arms, less = [], {}, {}
    for arm, values in found.items():
        arms[arm] = {name: interval(value) for name, value in values.items()}
        cells = ["", ""]
        if arm == best:
            cells = ["baseline", "baseline"]
        elif best is not None:
            less[arm] = {name: interval(value - found[best][name]) for name, value in values.items()}
            cells = [_signed(less[arm][name]) for name in ("accuracy", "conflict")]
        rows.append([arm, *(f"{number.value:.3f}" for number in arms[arm].values()), *cells])
    parts = {name: int(part(first).sum()) for name, part in PARTS.items()}
    measured = {"clips": parts, "arms": _plain(arms), "better_baseline": best, "less_better_baseline": _plain(less)}
    return rows, measured


def measure_fused(answers: Answers, actors: Resamples) -> dict[str, Array]:
    """Each of `MEASURES` for each resample, (resamples,), averaged over repeats. NaN where a part has no clip."""
    weighted, macro = _f1(answers, actors)
    parts = {name: mean_of(_hits_in(part), answers, actors) for name, part in PARTS.items()}
    out = {"accuracy": mean_of(fused_hits, answers, actors), **parts}
    return out | {"weighted F1": weighted, "macro F1": macro, "ECE": _calibration(answers, actors)}


def _hits_in(part: Callable[[Round], NDArray[np.bool_]]) -> Callable[[Round, Told], tuple[Array, Array]]:
    return lambda drawn, told: (fused_hits(drawn, told)[0], part(drawn).astype(float))


def _f1(answers: Answers, actors: Resamples) -> tuple[Array, Array]:
    """Averaged by support, and over the classes that occur."""
    classes, people = len(EMOTIONS), actors.weights.shape[1]
    weighted, macro = [], []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        cell = (actors.code * classes + drawn.y) * classes + told.fused.argmax(axis=1)
        by_actor = np.bincount(cell, minlength=people * classes**2).reshape(people, -1)
        confusion = (actors.weights @ by_actor).reshape(-1, classes, classes)
        hit, support, claimed = np.diagonal(confusion, axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
        f1 = 2 * hit / np.maximum(support + claimed, 1)
        weighted.append((f1 * support).sum(axis=1) / support.sum(axis=1))
        macro.append((f1 * (support > 0)).sum(axis=1) / (support > 0).sum(axis=1))
    return np.mean(weighted, axis=0), np.mean(macro, axis=0)


def _calibration(answers: Answers, actors: Resamples) -> Array:
    """Expected calibration error, as `metrics.calibration_error`."""
    people = actors.weights.shape[1]
    each = []
    for drawn, told in zip(answers.rounds, answers.told, strict=True):
        confidence = told.fused.max(axis=1)
        gap = fused_hits(drawn, told)[0] - confidence
        cell = actors.code * BINS + confidence_bin(confidence)
        by_actor = np.bincount(cell, gap, people * BINS).reshape(people, BINS)
        clips = actors.weights @ np.bincount(actors.code, minlength=people)
        each.append(np.abs(actors.weights @ by_actor).sum(axis=1) / clips)
    out: Array = np.mean(each, axis=0)
    return out


def _alone(answers: Answers, modality: Literal["voice", "face"]) -> Answers:
    """As if the answer were that of one modality."""
    return Answers(answers.rounds, [replace(told, fused=getattr(told, modality)) for told in answers.told])


def _signed(number: Interval) -> str:
    return f"{number.value:+.3f} [{number.low:+.3f}, {number.high:+.3f}]"


def _plain(found: Mapping[str, Mapping[str, Interval]]) -> dict[str, dict[str, dict[str, float]]]:
    return {arm: {name: vars(number) for name, number in numbers.items()} for arm, numbers in found.items()}
