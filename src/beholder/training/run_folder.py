"""The folder of a training: whose run it holds, the checkpoint to go on from, and the one that was judged best."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
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


def claim(out: Path, facts: Mapping[str, Any]) -> None:
    """Say in `out` that it holds the run of these facts (recipe, data, prompts: whatever its weights depend on).

    Raises UserError where something of another run was saved in it already, naming what differs first.
    """
    out.mkdir(parents=True, exist_ok=True)
    ours, file = json.loads(json.dumps(facts)), out / RUN_FILE
    if not file.is_file() or not any(out.glob(f"*/{PREFIX}*")):  # what failed before its first save
        write_whole(file, json.dumps(ours, indent=2) + "\n")
        return
    theirs = json.loads(file.read_bytes())
    if (found := _difference(theirs, ours)) is not None:
        where, was, now = found
        raise UserError(
            f"{out} holds a run that can't be gone on with: {where} was {was!r} and is {now!r}. "
            "Choose another folder with -o, or delete this one"
        )


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint to go on from; those that a kill left torn are deleted."""
    found = sorted(folder.glob(f"{PREFIX}*"), key=lambda path: int(path.name.removeprefix(PREFIX)))
    while found:
        last = found.pop()
        try:
            read_state(last)
        except (OSError, ValueError):
            shutil.rmtree(last)
        else:
            return last
    return None


def best_checkpoint(folder: Path) -> Path:
    """The checkpoint that was judged best, or the last one where that is gone. Raises UserError where there is none."""
    last = last_whole_checkpoint(folder)
    if last is None:
        raise UserError(f"{folder} holds no checkpoint; the run stopped before its first one")
    best = folder / f"{PREFIX}{read_state(last)['best_global_step']}"
    return best if best.is_dir() else last


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The Trainer's state in a checkpoint: steps, best step, log. Raises OSError or ValueError where it is torn."""
    state: dict[str, Any] = json.loads((checkpoint / STATE_FILE).read_bytes())
    return state


def _difference(theirs: Any, ours: Any, where: str = "") -> tuple[str, Any, Any] | None:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in dict.fromkeys([*theirs, *ours]):
            found = _difference(theirs.get(key), ours.get(key), f"{where}.{key}" if where else key)
            if found is not None:
                return found
        return None
    return None if theirs == ours else (where, theirs, ours)
