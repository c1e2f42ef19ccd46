"""Votes of made-up people, in the shape of CREMA-D's, and their file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beholder.tical.votes import Votes

COLUMNS = "clip,actor,condition," + ",".join(f"votes_{e}" for e in "ADFHNS")


def make_votes(clips: int = 300, actors: int = 12) -> Votes:
    """Nine raters per condition; in half of the clips voice and face differ, and people follow the face in 7 of 10."""
    rng = np.random.default_rng(0)
    face = rng.integers(6, size=clips)
    voice = np.where(rng.random(clips) < 0.5, rng.integers(6, size=clips), face)
    both = np.where(rng.random(clips) < 0.3, voice, face)
    chances = {m: np.eye(6)[e] * 0.7 + 0.05 for m, e in (("voice", voice), ("face", face), ("av", both))}
    return Votes({m: rng.multinomial(9, p) for m, p in chances.items()}, np.arange(clips) % actors)


def write_votes(folder: Path, rows: Sequence[str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "votes.csv").write_text("\n".join([COLUMNS, *rows]) + "\n")
    return folder


def rows_of(votes: Votes) -> list[str]:
    """Lines of `votes.csv`."""
    return [
        f"{clip},{votes.actor[clip]},{condition},{','.join(map(str, counts[clip]))}"
        for condition, counts in votes.counts.items()
        for clip in range(len(votes.actor))
    ]
