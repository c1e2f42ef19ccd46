"""Several files of scores as one, if they are of one model or one cascade, made in one way, and have no picture in
common."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from beholder.batch.files import check_suffix, read_rows, write_rows
from beholder.batch.picks import SCHEMA_OF_BOTH, schema_in
from beholder.batch.plan import cascade_folder, has_plan, parts_folder
from beholder.batch.rows import SCHEMA
from beholder.errors import UserError
from beholder.task import TASKS

_SETTINGS = ("model", "weights_sha256", "preprocess")

_KIND, _OF_TWO = "kind", "a cascade of two models"


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
                    "model, or of one cascade, with one setting. Score one of them again, or keep them apart"
                )
    schema = SCHEMA_OF_BOTH if made[_KIND][0] == _OF_TWO else SCHEMA
    write_rows((read_rows(file, schema) for file in files), out, schema)
    return len(seen)


def _settings_of(file: Path, seen: dict[str, Path]) -> dict[str, str]:
    """How the rows of `file` were made; its paths are added to `seen`. Raises `UserError` for one that is there.

    What a file says nothing about is left out: one without a picked row does not tell the slow model of its cascade.
    """
    if has_plan(parts_folder(file)) or cascade_folder(file).exists():
        left = parts_folder(file) if has_plan(parts_folder(file)) else cascade_folder(file)
        raise UserError(f"{file} is not finished: {left} holds a run that was stopped. First --resume it")
    if not file.is_file():
        raise UserError(f"there is no file {file}. If it is still being written, wait until it is done")
    schema = schema_in(file)
    of_two = schema is SCHEMA_OF_BOTH
    rows = read_rows(file, schema)
    for path in rows["path"].to_pylist():
        if path in seen:
            raise UserError(f"{path!r} is in {seen[path]} and again in {file}; each picture may be there once")
        seen[path] = file
    settings = {_KIND: _OF_TWO if of_two else "one model"}
    if of_two:
        settings |= _models_of(rows, file)
    elif len(rows):
        settings |= {name: " and ".join(rows[name].unique().to_pylist()) for name in _SETTINGS}
    scored = rows.filter(pc.equal(rows["status"], "ok"))
    if len(scored):
        settings["tasks"] = " and ".join(task for task in TASKS if scored[task].null_count < len(scored))
    return settings


def _models_of(rows: pa.Table, file: Path) -> dict[str, str]:
    """The fast and the slow model of a cascade, as far as its rows tell.

    A row that was not picked is the fast model's. A picked one is the slow model's, or the fast one's where the slow
    one failed. Raises `UserError` where there are more than these two.
    """
    makers = rows.group_by(list(_SETTINGS)).aggregate([("picked", "count"), ("path", "count")]).to_pylist()
    fast = [_name_of(maker) for maker in makers if maker["picked_count"] < maker["path_count"]]
    slow = [_name_of(maker) for maker in makers if maker["picked_count"] == maker["path_count"]]
    if len(fast) > 1 or len(slow) > 1:
        raise UserError(f"{file} has scores of {' and '.join(sorted(fast + slow))}, and a cascade has two models")
    if not fast:  # all were picked, and a slow model that failed each time would look the same
        return {"models": slow[0]} if slow else {}
    return {"fast model": fast[0]} | ({"slow model": slow[0]} if slow else {})


def _name_of(maker: dict[str, str]) -> str:
    return f"{maker['model']} ({maker['weights_sha256'][:12]}, {maker['preprocess']})"
