"""Rows on disk: one JSON object per line, readable after any kind of stop."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from beholder.errors import UserError

Row = dict[str, Any]


def read_rows(file: Path) -> list[Row]:
    """Rows of a JSON-lines file, in its order. A torn last line, as a killed run leaves it, is dropped.

    Raises `UserError` for anything else that is not one JSON object per line.
    """
    lines = file.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last line end is torn, or nothing
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{file} line {number} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise UserError(f"{file} line {number} is a JSON {type(row).__name__}; needed is one object per line")
        rows.append(row)
    return rows


def write_rows(rows: Iterable[Row], file: Path) -> None:
    """Write all rows under a temporary name, then rename: a reader sees the old file or the new one."""
    write_whole(file, "".join(map(line_of, rows)))


def write_whole(file: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    temporary = file.with_name(f".{file.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def line_of(row: Mapping[str, Any]) -> str:
    """A row as its line."""
    return json.dumps(row, ensure_ascii=False) + "\n"


@contextmanager
def appending(file: Path) -> Iterator[BinaryIO]:
    """`file`, open for appending whole lines; one process at a time. Raises `UserError` where another one is at it.

    The kernel frees the lock when its process ends, however it ends.
    """
    with file.open("ab", buffering=0) as stream:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"another run is writing {file}; wait for it, or choose another name with -o") from None
        yield stream
