"""What a run to a file is going to do, written down before it starts, so that a killed run can be finished.

Beside `OUT` lies the folder `OUT.parts`: the list of pictures, `plan.json`, and one finished part file per shard. Each
appears whole or not at all, and the plan after the list, so that a plan that is there is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.scoring.card import Card
from beholder.task import Task

VERSION = 2

PARTS_SUFFIX = ".parts"
CASCADE_SUFFIX = ".cascade"
PLAN_FILE = "plan.json"
LOCK_FILE = "lock"
PATHS_FILE = "paths.nul"  # zero-terminated bytes, as `xargs -0` reads them: the only lossless list of file names


@dataclass(frozen=True)
class Plan:
    """Everything that the values in the output depend on, and how the rows are cut into shards."""

    version: int
    n_pictures: int
    paths_sha256: str
    """Of the list of paths in order."""
    shard_size: int
    """Rows per part file; the last has the rest."""
    model: str
    weights_sha256: str
    preprocess: str
    tasks: tuple[Task, ...]
    max_pixels: int


def make_plan(paths: Sequence[str], card: Card, tasks: tuple[Task, ...], max_pixels: int) -> Plan:
    """The plan for scoring `paths` in this order."""
    return Plan(
        version=VERSION,
        n_pictures=len(paths),
        paths_sha256=hashlib.sha256(_path_bytes(paths)).hexdigest(),
        shard_size=shard_size(len(paths)),
        model=card.name,
        weights_sha256=card.weights_sha256,
        preprocess=card.preprocess,
        tasks=tasks,
        max_pixels=max_pixels,
    )


def shard_size(n_pictures: int) -> int:
    """Rows per shard: 500, and up to 10,000 for millions of pictures.

    A kill costs the unfinished shards, so they are small: 500 are seconds on a laptop, and a write of 5 ms. They grow
    so that there are about 500 of them, and no folder of 100,000 part files.

    >>> [shard_size(n) for n in (20, 250_000, 1_000_000, 100_000_000)]
    [500, 500, 2000, 10000]
    """
    return min(10_000, max(500, n_pictures // 500))


def parts_folder(out: Path) -> Path:
    """Where the parts of an unfinished run lie."""
    return out.with_name(out.name + PARTS_SUFFIX)


def cascade_folder(out: Path) -> Path:
    """Where both runs of an unfinished cascade lie."""
    return out.with_name(out.name + CASCADE_SUFFIX)


def part_file(parts: Path, number: int) -> Path:
    """The file of one finished shard."""
    return parts / f"part-{number:05d}.parquet"


def has_plan(parts: Path) -> bool:
    """Whether there is a run to resume; a folder without a plan was killed before it started."""
    return (parts / PLAN_FILE).is_file()


def write_plan(parts: Path, plan: Plan, paths: Sequence[str]) -> None:
    """Start a parts folder; what an earlier run left in it is deleted."""
    remove_parts(parts)
    parts.mkdir(exist_ok=True)
    with replacing(parts / PATHS_FILE) as temporary:
        temporary.write_bytes(_path_bytes(paths))
    with replacing(parts / PLAN_FILE) as temporary:
        temporary.write_text(json.dumps(asdict(plan), indent=2) + "\n", encoding="utf-8")


def read_plan(parts: Path) -> tuple[Plan, list[str]]:
    """The plan of an unfinished run and its pictures. Raises `UserError` if either is damaged or of another version."""
    try:
        stored = json.loads((parts / PLAN_FILE).read_text(encoding="utf-8"))
        version = stored.get("version")
        if version != VERSION:
            raise UserError(
                f"{parts} was made by another version of beholder (plan version {version}, this one reads {VERSION}). "
                "Finish it with that version, or start again with --overwrite"
            )
        plan = Plan(**{**stored, "tasks": tuple(stored["tasks"])})
        content = (parts / PATHS_FILE).read_bytes()
    except (json.JSONDecodeError, AttributeError, KeyError, TypeError, FileNotFoundError) as error:
        raise UserError(f"{parts} is damaged: {error}. Start again with --overwrite") from error
    if hashlib.sha256(content).hexdigest() != plan.paths_sha256:
        raise UserError(f"{parts / PATHS_FILE} is not the list of the plan. Start again with --overwrite")
    return plan, [os.fsdecode(path) for path in content.split(b"\0")[:-1]]


def remove_parts(parts: Path) -> None:
    """Empty the folder, the plan first: a half-deleted folder must not look like a run to resume.

    The lock stays to the end of the run that holds it (`lock.locked`), and the folder goes with it.
    """
    (parts / PLAN_FILE).unlink(missing_ok=True)
    for entry in parts.iterdir() if parts.is_dir() else ():
        if entry.name != LOCK_FILE:
            entry.unlink(missing_ok=True)
    with suppress(OSError):  # the lock is in it
        parts.rmdir()


def check_same(planned: Plan, now: Plan, parts: Path) -> None:
    """Raise `UserError` where a resumed run would give other values than the planned one; inputs aside."""
    remedies = {"model": f"--model {planned.model}", "max_pixels": f"--max-pixels {planned.max_pixels}"}
    remedies["preprocess"] = "the model and the options it was started with"
    remedies["tasks"] = f"--task {planned.tasks[0] if len(planned.tasks) == 1 else 'both'}"
    for field in fields(Plan):
        name, was, is_now = field.name, getattr(planned, field.name), getattr(now, field.name)
        if was != is_now and name not in ("n_pictures", "paths_sha256", "shard_size"):
            remedy = remedies.get(name, "the model it was started with")
            raise UserError(
                f"can't resume {parts}: it was started with {name} = {_shown(was)}, this run has {_shown(is_now)}. "
                f"Go on with {remedy}, or start again with --overwrite"
            )


def _shown(value: object) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _path_bytes(paths: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)
