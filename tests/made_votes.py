"""Votes of made-up people, in the shape of CREMA-D's, and their file, with or without levels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beholder.tical.votes import Votes

COLUMNS = "clip,actor,condition," + ",".join(f"votes_{e}" for e in "ADFHNS")
FULL_COLUMNS = COLUMNS + ",intended_emotion," + ",".join(f"level_norm_{e}" for e in "ADFHNS")


def make_votes(clips: int = 300, actors: int = 12) -> Votes:
    """Nine raters per condition; in half of the clips voice and face differ, and people follow the face in 7 of 10."""
    rng = np.random.default_rng(0)
    face = rng.integers(6, size=clips)
    voice = np.where(rng.random(clips) < 0.5, rng.integers(6, size=clips), face)
    both = np.where(rng.random(clips) < 0.3, voice, face)
    chances = {m: np.eye(6)[e] * 0.7 + 0.05 for m, e in (("voice", voice), ("face", face), ("av", both))}
    counts = {m: rng.multinomial(9, p) for m, p in chances.items()}
    levels = {m: np.where(counts[m] > 0, rng.integers(1, 101, size=(clips, 6)) / 100, 0) for m in ("voice", "face")}
    return Votes(counts, np.arange(clips) % actors, levels, np.where(rng.random(clips) < 0.9, face, voice))


def write_votes(folder: Path, rows: Sequence[str], columns: str = COLUMNS) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "votes.csv").write_text("\n".join([columns, *rows]) + "\n")
    return folder


def rows_of(votes: Votes) -> list[str]:
    """Lines of `votes.csv`."""
    return [
        f"{clip},{votes.actor[clip]},{condition},{','.join(map(str, counts[clip]))}"
        for condition, counts in votes.counts.items()
        for clip in range(len(votes.actor))
    ]


def full_rows_of(votes: Votes) -> list[str]:
    """The same with `FULL_COLUMNS`: levels of 0 to 100, empty where nobody chose the emotion."""
    levels = {**votes.levels, "av": np.zeros_like(votes.levels["voice"])}
    rows = iter(rows_of(votes))
    return [
        f"{next(rows)},{'ADFHNS'[votes.intended[clip]]},{','.join(f'{100 * v:.0f}' if v else '' for v in values[clip])}"
        for values in (levels[condition] for condition in votes.counts)
        for clip in range(len(votes.actor))
    ]
