"""The folder of a training: whose run it holds, the checkpoint to go on from, and the one that was judged best."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from beholder.errors import UserError
from beholder.language.rows import write_whole

MODEL, CHECKPOINTS = "model", "checkpoints"
"""Folders of a run: the result, and what a stopped run goes on from."""
RUN_FILE = "run.json"
STATE_FILE = "trainer_state.json"
"""What the Trainer writes last into a checkpoint."""
PREFIX = "checkpoint-"


def claim(out: Path, recipe: dict[str, Any]) -> None:
    """Say in `out` that it holds the run of this recipe.

    Raises UserError where a checkpoint of another recipe is in it, naming the fields that differ.
    """
    out.mkdir(parents=True, exist_ok=True)
    file = out / RUN_FILE
    if file.is_file() and any((out / CHECKPOINTS).glob(f"{PREFIX}*")):
        theirs = json.loads(file.read_bytes())
        if other := [key for key in {**theirs, **recipe} if theirs.get(key) != recipe.get(key)]:
            raise UserError(
                f"{out} holds a run that can't be gone on with: its recipe differs in {', '.join(other)}. "
                "Choose another folder with -o, or delete this one"
            )
    write_whole(file, json.dumps(recipe, indent=2) + "\n")


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint to go on from; those that a kill left torn are deleted."""
    for checkpoint in sorted(folder.glob(f"{PREFIX}*"), key=_step, reverse=True):
        try:
            read_state(checkpoint)
        except (OSError, ValueError):
            shutil.rmtree(checkpoint)
        else:
            return checkpoint
    return None


def best_checkpoint(folder: Path) -> Path:
    """The checkpoint that held-out crops liked best, or the last one where that is gone."""
    last = last_whole_checkpoint(folder)
    if last is None:
        raise UserError(f"{folder} holds no checkpoint; the run stopped before its first one")
    best = folder / f"{PREFIX}{read_state(last)['best_global_step']}"
    return best if best.is_dir() else last


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The Trainer's state in a checkpoint: steps, best step, log. Raises OSError or ValueError where it is torn."""
    state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_bytes())
    return state


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix(PREFIX))
