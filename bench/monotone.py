"""Does the score fall as damage grows? Share of ordered pairs right, per family of damage, on pictures never seen.

    python bench/monotone.py [MANIFEST] [--model NAME_OR_FOLDER]... [--split test] [--pictures 60] [--baseline]

A picture is damaged at levels 0 (untouched) to 5 of each family in `beholder.data.distortions`, always with one seed,
so it gets worse and not just different. Of the 15 pairs of levels a pair is right if the worse one scores lower; a tie
is wrong. Intervals resample pictures, whole groups of them where the manifest declares groups.

Beside the models stands a floor, the log variance of the Laplacian; with `--baseline` also the classical statistics and
their regressor, trained on the manifest's `train` split (minutes).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from pictures import clean_examples
from record import RESULTS, Table, model_facts, publish, script

import beholder
from beholder.batch.workers import usable_cpus
from beholder.data.columns import Split
from beholder.data.distortions import FAMILIES, distort
from beholder.data.manifest import read_manifest
from beholder.evaluate.bootstrap import MIN_UNITS, Estimate, resample_counts
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image
from beholder.scoring.table import DEFAULT

Pixels = NDArray[np.uint8]
Scorer = Callable[[Pixels], float]
Scores = NDArray[np.float64]
"""(pictures, families, levels): level 0 is the untouched picture."""

LEVELS = range(6)
PAIRS = tuple(combinations(LEVELS, 2))
NEIGHBOURS = tuple((level, level + 1) for level in range(5))

PROMISED = ("blur", "noise", "jpeg", "darken", "overexpose", "banding", "downscale")
"""The families that the model is promised to be monotone in; the others are told as well."""

FLOOR = "log var Laplacian"
BASELINE = "statistics + SVR"
RESAMPLES = 1000


@dataclass(frozen=True)
class PictureSet:
    """Pictures that no model was trained on."""

    name: str
    paths: Sequence[Path]
    groups: Sequence[Hashable] | None = None
    """What is resampled together, per picture; None: each picture by itself."""
    facts: dict[str, Any] | None = None


def examples() -> PictureSet:
    """The undamaged scenes of `examples/`."""
    return PictureSet("examples", clean_examples())


def from_manifest(path: Path, split: Split, count: int) -> list[PictureSet]:
    """`count` pictures spread evenly over the rows of a split, and of these the half that people rate higher.

    The second set is told because damage that is already in a picture can hide the damage that we add.
    """
    manifest = read_manifest(path)
    part = manifest.select(split)
    chosen = sorted({round(i) for i in np.linspace(0, len(part) - 1, min(count, len(part)))})
    groups, paths, quality = part.groups(), part.paths(), part.unit_scores()
    median = np.median(quality[chosen])

    def subset(name: str, rows: Sequence[int]) -> PictureSet:
        facts = {"manifest": manifest.name, "manifest_sha256": manifest.sha256, "split": split}
        return PictureSet(name, [paths[i] for i in rows], [groups[i] for i in rows], facts)

    name = f"{manifest.name} {split}"
    return [subset(name, chosen), subset(f"{name}, upper half", [i for i in chosen if quality[i] >= median])]


def log_variance_of_laplacian(rgb: Pixels) -> float:
    """Sharpness in one number: the floor that any model has to pass. RGB uint8 (H, W, 3)."""
    luma = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    centre = luma[1:-1, 1:-1]
    laplace = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre
    return float(np.log(laplace.var() + 1e-8))


def column_names(facts: Sequence[dict[str, str]], *, baseline: bool) -> list[str]:
    """Names of the contenders, in the order of `open_scorers`; models of one name get a piece of their hash."""
    names = [fact["name"] for fact in facts]
    for i, fact in enumerate(facts):
        if names.count(fact["name"]) > 1:
            names[i] = f"{fact['name']} {fact['weights_sha256'][:7]}"
    return [*names, *([BASELINE] if baseline else []), FLOOR]


def open_scorers(models: Sequence[str], regressor: Any | None) -> list[Scorer]:
    """Every contender as a function from RGB pixels to a score of quality, higher is better."""
    scorers = [_quality_of(beholder.load(model)) for model in models]
    if regressor is not None:
        scorers.append(lambda rgb: float(regressor.predict([_statistics(rgb)])[0]))
    return [*scorers, log_variance_of_laplacian]


def score_damaged(rgb: Pixels, scorers: Sequence[Scorer], families: Sequence[str], seed: int) -> Scores:
    """(scorers, families, levels) scores of one picture."""
    found = np.empty((len(scorers), len(families), len(LEVELS)))
    found[:, :, 0] = np.array([score(rgb) for score in scorers])[:, None]
    for f, family in enumerate(families):
        for level in LEVELS[1:]:
            damaged = distort(rgb, family, level, seed)
            found[:, f, level] = [score(damaged) for score in scorers]
    return found


def pairs_right(scores: Scores, pairs: Sequence[tuple[int, int]] = PAIRS) -> NDArray[np.float64]:
    """(pictures, families) share of `pairs` in which the more damaged picture scores strictly lower."""
    better, worse = ([pair[side] for pair in pairs] for side in (0, 1))
    return np.asarray((scores[..., worse] < scores[..., better]).mean(axis=-1))


def mean_over_pictures(values: NDArray[np.float64], groups: Sequence[Hashable] | None) -> Estimate:
    """Mean of (pictures,) values with a 95 % bootstrap interval, where there are enough pictures or groups for one."""
    value = float(values.mean())
    units = len(values) if groups is None else len(set(groups))
    if units < MIN_UNITS:
        return Estimate(value=value, low=None, high=None, problem=f"no interval: {units} pictures")
    counts = np.array(list(resample_counts(len(values), groups, RESAMPLES, seed=0)))
    low, high = np.quantile(counts @ values / counts.sum(axis=1), [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high))


def summarize(scores: Scores, families: Sequence[str], groups: Sequence[Hashable] | None) -> dict[str, Any]:
    """Per family, and over the promised ones and all: share of pairs right, of neighbours, mean score per level."""
    right, near = pairs_right(scores), pairs_right(scores, NEIGHBOURS)
    parts = {family: [f] for f, family in enumerate(families)}
    parts["the seven promised"] = [f for f, family in enumerate(families) if family in PROMISED]
    parts["all families"] = list(range(len(families)))
    return {
        part: {
            "pairs_right": mean_over_pictures(right[:, rows].mean(axis=1), groups).model_dump(),
            "neighbours_right": mean_over_pictures(near[:, rows].mean(axis=1), groups).model_dump(),
            "mean_scores": scores[:, rows].mean(axis=(0, 1)).tolist(),
        }
        for part, rows in parts.items()
        if rows
    }


_in_worker: list[Scorer] = []


def _start_worker(models: Sequence[str], regressor: Any | None) -> None:
    _in_worker[:] = open_scorers(models, regressor)


def _score_file(path: Path, families: Sequence[str], seed: int) -> Scores:
    return score_damaged(open_image(path, fit=Fit()).rgb, _in_worker, families, seed)


def score_files(
    paths: Sequence[Path], models: Sequence[str], regressor: Any | None, families: Sequence[str]
) -> dict[Path, Scores]:
    """(scorers, families, levels) per picture, on all cores. A picture gets the same damage in any set and order."""
    workers = min(usable_cpus(), len(paths))
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (models, regressor)) as pool:
        seeds = [crc32(path.name.encode()) for path in paths]
        return dict(zip(paths, pool.map(_score_file, paths, [families] * len(paths), seeds), strict=True))


def fit_statistics(path: Path) -> Any:
    """The baseline's regressor, fitted on the `train` split of a manifest."""
    from beholder.mini.baseline import fit_baseline

    part = read_manifest(path).select("train")
    with ProcessPoolExecutor(usable_cpus(), get_context("spawn")) as pool:
        features = np.array(list(pool.map(_statistics_of_file, part.paths(), chunksize=16)))
    return fit_baseline(features, part.unit_scores(), part.groups())


def _statistics_of_file(path: Path) -> list[float]:
    return _statistics(open_image(path, fit=Fit()).rgb)


def _statistics(rgb: Pixels) -> list[float]:
    from beholder.mini.baseline import statistics

    return list(statistics(rgb).values())


def _quality_of(model: beholder.Model) -> Scorer:
    def quality(rgb: Pixels) -> float:
        score = model.score(rgb, task="quality").quality
        assert score is not None  # the task was asked for by name
        return score

    return quality


def table_of(found: dict[str, dict[str, dict[str, Any]]]) -> Table:
    """One row per family, one column per model and set; `found` is model -> set -> family -> numbers."""
    columns = [(model, name) for model, sets in found.items() for name in sets if "upper half" not in name]
    families = next(iter(next(iter(found.values())).values()))
    rows = []
    for family in families:
        cells = [found[model][name][family]["pairs_right"] for model, name in columns]
        rows.append([family, *map(_cell, cells)])
    return Table(["share of pairs right", *(f"{model}: {name}" for model, name in columns)], rows)


def _cell(estimate: dict[str, Any]) -> str:
    interval = "" if estimate["low"] is None else f" [{estimate['low']:.3f}, {estimate['high']:.3f}]"
    return f"{estimate['value']:.3f}{interval}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", nargs="?", type=Path)
    parser.add_argument("--model", action="append", help="may be given several times")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"))
    parser.add_argument("--pictures", type=int, default=60, help="of the manifest, spread evenly")
    parser.add_argument("--baseline", action="store_true", help="fit and compare the classical statistics")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.baseline and given.manifest is None:
        parser.error("--baseline is fitted on the train split of a manifest: give one")
    models = given.model or [DEFAULT]
    facts = [model_facts(model) for model in models]
    sets = [examples()]
    if given.manifest is not None:
        sets = [*from_manifest(given.manifest, given.split, given.pictures), *sets]
    regressor = fit_statistics(given.manifest) if given.baseline else None
    families = sorted(FAMILIES, key=lambda name: (name not in PROMISED, list(FAMILIES).index(name)))
    paths = list(dict.fromkeys(path for each in sets for path in each.paths))
    scores = score_files(paths, models, regressor, families)
    names = column_names(facts, baseline=given.baseline)
    found = {
        model: {
            each.name: summarize(np.stack([scores[path][m] for path in each.paths]), families, each.groups)
            for each in sets
        }
        for m, model in enumerate(names)
    }
    publish(
        "monotone",
        "Pairs of damage levels in which the worse picture scores lower: "
        + ", ".join(f"{len(each.paths)} of {each.name}" for each in sets if "upper half" not in each.name),
        table_of(found),
        measured={
            "models": facts,
            "sets": {each.name: {"n": len(each.paths)} | (each.facts or {}) for each in sets},
            "families": {name: FAMILIES[name].at_levels for name in families},
            "found": found,
        },
        busy_before=None,  # scores do not depend on it
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
