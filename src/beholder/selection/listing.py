"""The chosen pictures as a list: one path per line for other programs, or the rows as a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from beholder.batch.files import SUFFIXES, replacing, write_rows
from beholder.batch.rows import path_from_text
from beholder.errors import UserError


def write_list(rows: pa.Table, out: Path) -> None:
    """Write `rows` to a .parquet, .csv or .jsonl file, or their paths to a .txt file, whole or not at all.

    Paths are as they are in `rows`. Raises `UserError` as `check_list` does.
    """
    check_list(out)
    if out.suffix.lower() != ".txt":
        write_rows([rows], out, rows.schema)
        return
    with replacing(out) as temporary, temporary.open("wb") as file:
        print_paths(rows, file)


def check_list(out: Path) -> None:
    """Raise `UserError` where a list can't be written: for other endings, where `out` exists or its folder does not."""
    suffix = out.suffix.lower()
    if suffix not in (".txt", *SUFFIXES):
        raise UserError(
            f"--list {out}: its ending is {suffix or '(none)'}, allowed are .txt, {', '.join(SUFFIXES)}, "
            "and - for the screen or a pipe"
        )
    if os.path.lexists(out):
        raise UserError(f"{out} exists already. Choose another name")
    if not out.parent.is_dir():
        raise UserError(f"can't write {out}: the folder {out.parent} does not exist. Make it first")


def print_paths(rows: pa.Table, file: BinaryIO, *, null: bool = False) -> None:
    """Write the names of the files, each with a line break after it, or with a zero byte if `null`.

    Raises `UserError`, with nothing written, where a name has a line break in it and `null` is not given.
    """
    names = [path_from_text(text) for text in rows["path"].to_pylist()]
    odd = next((name for name in names if len(name.splitlines()) != 1), None)
    if odd is not None and not null:
        raise UserError(f"the name {odd!r} has a line break in it. Try --null, or --list FILE.parquet")
    end = b"\0" if null else b"\n"
    file.writelines(os.fsencode(name) + end for name in names)
