"""Several files of scores as one, if they are of one model, made in one way, and have no picture in common."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow.compute as pc

from beholder.batch.files import check_suffix, read_rows, write_rows
from beholder.batch.plan import has_plan, parts_folder
from beholder.errors import UserError
from beholder.task import TASKS

_SETTINGS = ("model", "weights_sha256", "preprocess")


def merge(files: Sequence[Path], out: Path) -> int:
    """Write the rows of `files`, in the order given, to `out`, and give their number.

    Formats may differ. One file at a time is in memory, and the paths of all. Raises `UserError`, and writes nothing,
    where `out` exists, a file is missing, unfinished, or no table of scores, two files were not made in the same way,
    or a picture is there twice.
    """
    check_suffix(out)
    if len(files) < 2:
        raise UserError(f"there is nothing to merge in {len(files)} file; name two or more")
    if os.path.lexists(out):
        raise UserError(f"{out} exists already. Choose another name")
    if not out.parent.is_dir():
        raise UserError(f"can't write {out}: the folder {out.parent} does not exist. Make it first")
    seen: dict[str, Path] = {}
    made: dict[str, tuple[str, Path]] = {}
    for file in files:
        for name, value in _settings_of(file, seen).items():
            first, where = made.setdefault(name, (value, file))
            if first != value:
                raise UserError(
                    f"{file} was made with {name} = {value}, {where} with {first}: one file holds the scores of one "
                    "model with one setting. Score one of them again, or keep them apart"
                )
    write_rows(map(read_rows, files), out)
    return len(seen)


def _settings_of(file: Path, seen: dict[str, Path]) -> dict[str, str]:
    """How the rows of `file` were made; its paths are added to `seen`. Raises `UserError` for one that is there."""
    if has_plan(parts_folder(file)):
        raise UserError(f"{file} is not finished: {parts_folder(file)} holds a run that was stopped. First --resume it")
    if not file.is_file():
        raise UserError(f"there is no file {file}. If it is still being written, wait until it is done")
    rows = read_rows(file)
    for path in rows["path"].to_pylist():
        if path in seen:
            raise UserError(f"{path!r} is in {seen[path]} and again in {file}; each picture may be there once")
        seen[path] = file
    models = sorted(rows["model"].unique().to_pylist())
    if len(models) > 1:
        raise UserError(
            f"{file} has scores of {' and '.join(models)}, as --cascade leaves them; such files can't be merged"
        )
    settings = {name: " and ".join(rows[name].unique().to_pylist()) for name in _SETTINGS if len(rows)}
    scored = rows.filter(pc.equal(rows["status"], "ok"))
    if len(scored):
        settings["tasks"] = " and ".join(task for task in TASKS if scored[task].null_count < len(scored))
    return settings
