"""Copies of the chosen pictures, or links to them, in a folder that appears as a whole.

The folder is built in `OUT.parts`, where it can be gone on with if it was stopped, and gets its name when it is
complete. Below it pictures lie as they do below the deepest folder that all pictures of the table have in common.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from beholder.batch.files import replacing, write_rows
from beholder.batch.lock import locked
from beholder.batch.plan import parts_folder
from beholder.batch.rows import path_from_text, path_text
from beholder.errors import UserError
from beholder.imaging.sources import file_below, is_elsewhere

How = Literal["copy", "link"]

PLAN_FILE = "selection.json"
"""In the folder: what was asked for, and where the pictures come from."""

TABLE_FILE = "selection.parquet"
"""In the folder: the chosen rows, best first, with paths relative to the folder."""


def place(
    rows: pa.Table,
    out: Path,
    how: How,
    *,
    pictures: Path,
    root: str,
    asked: Mapping[str, Any],
) -> int:
    """Make the folder `out` with the pictures of `rows`, and give the number of those that were there from before.

    Relative paths start at `pictures`; below `out` a picture has its path relative to `root`, see `common_root`.
    `asked` is what makes this selection this one and not another: it is kept in `PLAN_FILE`, and a stopped run is gone
    on with only where it is the same. Links are symbolic and absolute.

    Raises `UserError` where `out` is there already, where a stopped run was asked for something else, and for pictures
    that are not there, or not on a disk; then nothing is copied.
    """
    names = [path_from_text(text) for text in rows["path"].to_pylist()]
    sources = [file_below(os.path.realpath(pictures), name) for name in names]
    _check_files(sources)
    below = [os.path.relpath(source, root) for source in sources]
    check_free(out)
    _check_names(below)
    _check_sources(sources, pictures)
    plan = {
        "how": how,
        **asked,
        "root": path_text(root),
        "n_pictures": len(below),
        "paths_sha256": hashlib.sha256(b"".join(os.fsencode(name) + b"\0" for name in below)).hexdigest(),
    }
    with locked(out):
        check_free(out)  # once more: the run that held the lock may have made it
        tree, unfinished = parts_folder(out) / "tree", parts_folder(out) / "unfinished"
        _begin(tree, plan, out)
        n_before = 0
        for source, name in zip(sources, below, strict=True):
            target = tree / name
            if _is_done(source, target, how):
                n_before += 1
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)
            if how == "copy":
                shutil.copy2(source, unfinished)
            else:
                unfinished.symlink_to(source)
            unfinished.replace(target)
        moved = rows.set_column(
            0, rows.schema.field("path"), pa.array([path_text(name) for name in below], pa.string())
        )
        write_rows([moved], tree / TABLE_FILE, moved.schema)
        tree.rename(out)
        unfinished.unlink(missing_ok=True)
    return n_before


def common_root(paths: Sequence[str], pictures: Path) -> str:
    """The deepest folder, absolute, that all `paths` of a table lie below; relative ones start at `pictures`."""
    folders = {os.path.dirname(path_from_text(path)) for path in paths}
    start = os.path.realpath(pictures)
    try:
        return os.path.commonpath([os.path.abspath(os.path.join(start, folder)) for folder in folders])
    except ValueError:
        raise UserError(
            "the pictures of the table lie on several drives, so no folder has all of them below it. "
            "Select from one drive at a time, or use --list"
        ) from None


def check_free(out: Path) -> None:
    """Raise `UserError` where a folder of this name can't be made."""
    if os.path.lexists(out):
        raise UserError(f"{out} exists already, and nothing is put into what is there. Choose another name")
    if not out.parent.is_dir():
        raise UserError(f"can't make {out}: the folder {out.parent} does not exist. Make it first")


def _check_files(sources: Sequence[str]) -> None:
    elsewhere = [source for source in sources if is_elsewhere(source)]
    if elsewhere:
        raise UserError(
            f"{len(elsewhere):,} of {len(sources):,} pictures lie at an address or in a tar file, the first is "
            f"{elsewhere[0]!r}; only files of a disk are copied or linked. Download or unpack them, or use --list"
        )


def _check_names(below: Sequence[str]) -> None:
    seen = {PLAN_FILE, TABLE_FILE}
    for name in below:
        if name in seen:
            raise UserError(f"two files would be called {name!r} in the new folder. Select them apart, or use --list")
        seen.add(name)


def _check_sources(sources: Sequence[str], pictures: Path) -> None:
    missing = [source for source in sources if not _is_file(source)]
    if missing:
        raise UserError(
            f"{len(missing):,} of {len(sources):,} pictures are not there, the first is {missing[0]!r}. "
            f"Relative paths in the table start at --pictures, now {str(pictures)!r}: name the folder that "
            "`beholder score` was run in"
        )


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return False


def _begin(tree: Path, plan: Mapping[str, Any], out: Path) -> None:
    """Write down what is going to be made, or check that a stopped run was going to make the same."""
    try:
        before = json.loads((tree / PLAN_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        tree.mkdir(exist_ok=True)
        with replacing(tree / PLAN_FILE) as temporary:
            temporary.write_text(json.dumps(plan, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    for name in plan:
        if before.get(name) != plan[name]:
            raise UserError(
                f"{tree.parent} holds an unfinished selection with {name} = {before.get(name)}, this one has "
                f"{plan[name]}. Go on with the former, delete that folder, or choose another name than {out}"
            )


def _is_done(source: str, target: Path, how: How) -> bool:
    """Whether `target` is what this run would make. A copy has its name only when it is whole."""
    if how == "link":
        return target.is_symlink() and os.readlink(target) == source
    try:
        made = target.lstat()
    except FileNotFoundError:
        return False
    origin = os.stat(source)
    return (made.st_size, made.st_mtime_ns) == (origin.st_size, origin.st_mtime_ns)
