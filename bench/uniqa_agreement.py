"""How well a few views at fixed places stand for ten random crops: a trained UniQA model on pictures it has not seen.

    python bench/uniqa_agreement.py MODEL_FOLDER MANIFEST [--count 150] [--draws 6]

`MODEL_FOLDER` is what `beholder train uniqa` left for an `adapt` recipe (`OUT/00/model`), `MANIFEST` the set it learned
from. Each way is correlated with several draws of ten crops. What it is held against is how well those draws agree
with each other: nobody can ask more of a score than that it is as near to ten crops as ten other crops are.

Weights must be trained: with random ones a score jumps when a crop moves by a few pixels, so that no place stands for
another, and n fixed views are worth n random crops whatever their places.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from record import RESULTS, Table, at_least, publish, script
from uniqa import PROMISED, TenCrops, exported

from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.evaluate.correlation import srcc
from beholder.uniqa.model import Uniqa

Scores = NDArray[np.float64]

WAYS = {
    f"{views} views{', int8' if int8 else ''}": (views, int8) for views in (1, 4, 5, 6, 9) for int8 in (False, True)
}
"""Number of views, and whether in eight bits."""

RESAMPLED = 1000


def between(draws: Sequence[Scores]) -> float:
    """Mean SRCC of each draw with each other one."""
    return float(np.mean([srcc(a, b) for a, b in combinations(draws, 2)]))


def with_draws(scores: Scores, draws: Sequence[Scores]) -> float:
    """Mean SRCC of one way's scores with each draw."""
    return float(np.mean([srcc(scores, draw) for draw in draws]))


def lead(scores: Scores, draws: Sequence[Scores], seed: int = 0) -> tuple[float, float, float]:
    """How much better one way agrees with draws than they do with each other, and its 95 % interval over pictures."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLED):
        rows = rng.integers(len(scores), size=len(scores))
        some = [draw[rows] for draw in draws]
        found.append(with_draws(scores[rows], some) - between(some))
    low, high = np.quantile(found, [0.025, 0.975])
    return with_draws(scores, draws) - between(draws), float(low), float(high)


def unseen(manifest: Manifest, count: int, seed: int = 0) -> tuple[list[Path], Scores]:
    """Some test pictures and their scores in [0, 1]. Raises UserError where there are fewer than two."""
    test = np.flatnonzero(np.array(manifest.column("split")) == "test")
    if len(test) < 2:
        raise UserError(f"{manifest.name} has {len(test)} test pictures; agreement needs at least 2")
    rows = np.random.default_rng(seed).permutation(test)[:count]
    return [Path(manifest.paths()[row]) for row in rows], manifest.unit_scores()[rows]


def ways(model: Uniqa, files: Sequence[Path], scratch: Path) -> dict[str, Scores]:
    """Scores of every export of `WAYS`."""
    found = {}
    for name, (views, int8) in WAYS.items():
        score = exported(model, scratch / name.replace(", ", "-").replace(" ", "-"), views, int8)
        found[name] = np.array([score(file) for file in files])
    return found


def rows_of(found: Mapping[str, Scores], draws: Sequence[Scores], mos: Scores) -> list[list[str]]:
    """The table: ten other crops first, then each way."""
    people = float(np.mean([srcc(draw, mos) for draw in draws]))
    rows = [["10 other random crops", f"{between(draws):.4f}", "0", f"{people:.3f}"]]
    for name, scores in found.items():
        ahead, low, high = lead(scores, draws)
        agreed = with_draws(scores, draws)
        rows.append([name, f"{agreed:.4f}", f"{ahead:+.4f} [{low:+.4f}, {high:+.4f}]", f"{srcc(scores, mos):.3f}"])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    if given.draws < 2:
        raise UserError(f"--draws {given.draws}: at least 2 are needed, to see how well they agree")
    torch.set_num_threads(1)
    model, manifest = Uniqa.load(given.model), read_manifest(given.manifest)
    files, mos = unseen(manifest, given.count)
    draws = [np.array([crops(file) for file in files]) for crops in (TenCrops(model, s) for s in range(given.draws))]
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as scratch:
        found = ways(model, files, Path(scratch))
    side, short = model.config.side, model.config.tasks["quality"].short
    drawn, promised = between(draws), with_draws(found[PROMISED], draws)
    publish(
        "uniqa-agreement",
        f"A trained UniQA ({side} px views, pictures {'as they are' if short is None else f'at {short} px'}) on "
        f"{len(files)} test pictures of {manifest.name}, {given.draws} draws of 10 random crops",
        Table(["", "SRCC with 10 random crops", "more than 10 others", "SRCC with people"], rows_of(found, draws, mos)),
        measured={
            "n": len(files),
            "manifest_sha256": manifest.sha256,
            "srcc_between_draws": drawn,
            "srcc_with_draws": {name: with_draws(scores, draws) for name, scores in found.items()},
            "more_than_between_draws": {name: lead(scores, draws) for name, scores in found.items()},
        },
        limits=[at_least(f"SRCC with 10 random crops ({PROMISED}); of 10 others", promised, round(drawn, 4))],
        notes=["Brackets: 95 % intervals over pictures."],
        busy_before=None,  # scores do not depend on it
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
