"""The rated pictures of a manifest as a teacher is told of them, and which of them may not be asked about."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beholder.data.columns import Split
from beholder.data.held_out import HeldOut
from beholder.data.manifest import Manifest
from beholder.errors import UserError
from beholder.language.ask import Answer
from beholder.task import ScoreRange, Task, level_of
from beholder.tatar.answer import target
from beholder.tatar.rules import ASPECTS

HELD_OUT = "held_out"
"""Status of a row whose picture is one of a test part."""

NOTES = tuple(name.replace(" ", "_") for name in ASPECTS)
"""Columns of a manifest with notes of experts, one per aspect; a row counts as noted where all eight are filled."""


@dataclass(frozen=True)
class Rated:
    """One picture with its score."""

    id: str
    """The manifest's `path`."""
    path: Path
    task: Task
    target: float
    """0 to 100, higher is better."""
    level: str
    told: str
    """Score, scale and level in words."""
    notes: str
    """Of experts, a line per aspect; empty where the manifest has none for it."""
    damage: Mapping[str, Any]
    """`distortion` and `distortion_level`, where the manifest has these columns."""
    refused: Answer | None
    """The answer, where nobody may be asked about it."""

    def columns(self, out: Path) -> dict[str, Any]:
        """What every row about it holds; `path` relative to the folder of `out`, so that both can be moved together."""
        path = Path(os.path.relpath(self.path, out.parent)).as_posix()
        return {"path": path, "task": self.task, "target": self.target, "level": self.level}


def told(score: float, declared: ScoreRange) -> str:
    """Score, scale and level as a teacher and a judge are told them.

    >>> told(3.2, ScoreRange(1, 5))
    'People gave it 3.2 on a scale from 1 (worst) to 5 (best), which is fair.'
    """
    worst, best = (declared.low, declared.high) if declared.higher_is_better else (declared.high, declared.low)
    level = level_of(declared.to_unit(score))
    return f"People gave it {score:g} on a scale from {worst:g} (worst) to {best:g} (best), which is {level}."


def rated_pictures(
    manifest: Manifest, splits: Sequence[Split] = ("train",), held_out: HeldOut | None = None
) -> list[Rated]:
    """The pictures of `splits`, in the manifest's order.

    Refused are those in `held_out`, with status `held_out`, and missing ones, with status `unreadable`. Raises
    `UserError` where a manifest of aesthetics has some columns of `NOTES` but not all.
    """
    columns = set(manifest.table.column_names)
    has = columns & set(NOTES) if manifest.task == "aesthetics" else set()
    if has and has != set(NOTES):
        missing = ", ".join(name for name in NOTES if name not in columns)
        raise UserError(
            f"the manifest has notes ({', '.join(sorted(has))}) but lacks {missing}; needed are all or none"
        )
    notes = zip(*(manifest.column(name) for name in NOTES), strict=True) if has else [()] * len(manifest)
    damage = {name: manifest.column(name) for name in ("distortion", "distortion_level") if name in columns}
    found = []
    for row, (name, path, score, split, cells) in enumerate(
        zip(manifest.column("path"), manifest.paths(), manifest.scores(), manifest.column("split"), notes, strict=True)
    ):
        if split not in splits:
            continue
        refused = None
        if owner := held_out.owner(path) if held_out else None:
            refused = Answer(name, status=HELD_OUT, error=f"the same file is in the test part of {owner}")
        elif not path.is_file():
            refused = Answer(name, status="unreadable", error=f"{path} is not there")
        noted = bool(cells) and all(cells)
        found.append(
            Rated(
                id=name,
                path=path,
                task=manifest.task,
                target=target(float(score), manifest.range),
                level=level_of(manifest.range.to_unit(float(score))),
                told=told(float(score), manifest.range),
                notes=in_lines(dict(zip(ASPECTS, cells, strict=True))) if noted else "",
                damage={column: values[row] for column, values in damage.items()},
                refused=refused,
            )
        )
    return found


def in_lines(notes: Mapping[str, str]) -> str:
    """Notes as they are told: `aspect: what is noted`, a line each."""
    return "\n".join(f"{aspect}: {note}" for aspect, note in notes.items())
