"""What an earlier run left behind, and whether this run may go on from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from beholder.batch.files import read_rows
from beholder.batch.plan import Plan, check_same, has_plan, make_plan, parts_folder, read_plan
from beholder.batch.rows import path_from_text
from beholder.batch.settings import Settings
from beholder.errors import UserError


def check_free(out: Path) -> None:
    """Raise `UserError` where a new run would destroy an earlier one's work."""
    if has_plan(parts_folder(out)):
        raise UserError(
            f"{parts_folder(out)} holds the finished parts of a run that was stopped. "
            "Finish it with --resume, or start again with --overwrite"
        )
    if out.exists():
        raise UserError(
            f"{out} exists already. Score what failed in it again with --retry-failed, replace it with --overwrite, "
            "or choose another name"
        )


def stopped_run(out: Path, paths: Sequence[str], settings: Settings) -> tuple[Plan, list[str]]:
    """The plan and the pictures of a stopped run; `paths` may be empty.

    Raises `UserError` where this run would give other values, or where `paths` are not the pictures of the plan.
    """
    parts = parts_folder(out)
    planned, planned_paths = read_plan(parts)
    check_same(planned, make_plan(planned_paths, settings.card, settings.tasks, settings.max_pixels), parts)
    if paths and paths != planned_paths:
        raise _changed_inputs(f"can't resume {parts}", planned_paths, paths, out)
    return planned, planned_paths


def finished_rows(out: Path, paths: Sequence[str], settings: Settings) -> pa.Table:
    """The rows of a finished `out`, which a run that resumes need not score again; `paths` may be empty.

    Raises `UserError` where they were made another way, or from other pictures than `paths`.
    """
    rows = rows_to_retry(out, settings)
    before = [path_from_text(text) for text in rows["path"].to_pylist()]
    if paths and set(paths) != set(before):
        raise _changed_inputs(f"{out} is finished", before, paths, out)
    return rows


def rows_to_retry(out: Path, settings: Settings) -> pa.Table:
    """The rows of a finished `out`. Raises `UserError` where its scores were made another way than this run's."""
    if has_plan(parts_folder(out)):
        raise UserError(f"{out} is not finished: {parts_folder(out)} holds a run that was stopped. First --resume it")
    if not out.exists():
        raise UserError(f"{out} does not exist, so nothing in it has failed. Score first, without --retry-failed")
    rows = read_rows(out)
    card = settings.card
    scored = rows.filter(pc.equal(rows["status"], "ok"))
    now = {"model": card.name, "weights_sha256": card.weights_sha256, "preprocess": card.preprocess}
    for name, value in now.items():
        for was in scored[name].unique().to_pylist():
            if was != value:
                raise UserError(
                    f"{out} was scored with {name} = {was}, this run has {value}: one file holds one model's scores. "
                    "Give that model with --model, or score everything again with --overwrite"
                )
    for task in card.tasks:
        has_scores = scored[task].null_count < len(scored)
        if len(scored) and has_scores != (task in settings.tasks):
            raise UserError(
                f"{out} was scored {'with' if has_scores else 'without'} {task}, this run is the other way round. "
                "Give the same --task, or score everything again with --overwrite"
            )
    return rows


def _changed_inputs(what: str, before: Sequence[str], now: Sequence[str], out: Path) -> UserError:
    new, gone = len(set(now) - set(before)), len(set(before) - set(now))
    change = f"{new:,} new and {gone:,} gone" if new or gone else "another order"
    return UserError(
        f"{what}: the inputs have changed since, from {len(before):,} pictures to {len(now):,} ({change}). "
        f"To stay with the earlier list, name no inputs: beholder score --resume -o {out}; "
        "to score the present one, start again with --overwrite"
    )
