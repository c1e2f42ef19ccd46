"""Rows of label files, each with the line it came from."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from beholder.data.columns import ManifestError, unknown, utf8_only

Cells = dict[str, str]


def find_file(root: Path, *names: str) -> Path:
    """First of `names` that exists under `root`, in the order given. Raises `ManifestError` listing them all."""
    for name in names:
        if (root / name).is_file():
            return root / name
    raise ManifestError(f"{root} holds none of the label files of this set: {', '.join(names)}")


def picture_folder(root: Path, *names: str) -> str:
    """First of the folders `names` that exists under `root`, with a slash at its end; `""` where none does."""
    return next((f"{name}/" for name in names if (root / name).is_dir()), "")


def read_rows(file: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[tuple[str, Cells]]:
    """Place and cells of each row of a table with a header. Raises `ManifestError` if one of `columns` is missing."""
    with utf8_only(file), file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream, delimiter=delimiter, skipinitialspace=True)
        have = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = have
        for name in columns:
            if name not in have:
                raise ManifestError(unknown("needed column", name, have, f"{file} line 1"))
        for cells in reader:
            place = f"{file} line {reader.line_num}"
            if None in cells.values() or None in cells:
                raise ManifestError(f"{place}: the number of cells differs from the {len(have)} columns of the header")
            yield place, cells


def read_words(file: Path, at_least: int, delimiter: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Place and words of each line of a table without a header, separated by blanks or by `delimiter`.

    Empty lines are passed over; a line with fewer words than `at_least` raises `ManifestError`.
    """
    with utf8_only(file), file.open(encoding="utf-8-sig") as stream:
        for number, line in enumerate(stream, 1):
            words = [word.strip() for word in line.strip().split(delimiter)]
            if words in ([], [""]):
                continue
            if len(words) < at_least:
                raise ManifestError(f"{file} line {number}: {line.strip()!r} has {len(words)} of {at_least} values")
            yield f"{file} line {number}", words


def number(cells: Any, place: str, name: str) -> float:
    """A cell that enters a sum, as a float. Raises `ManifestError` with its place if it is none."""
    try:
        return float(cells)
    except (TypeError, ValueError):
        raise ManifestError(f"{place}: {name} = {cells!r} is not a number") from None
