"""Rows and thumbnails as data for `page.js`, within a number of bytes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from beholder.batch.rows import path_from_text
from beholder.imaging.sources import file_below, is_elsewhere
from beholder.report.numbers import scores_of
from beholder.report.thumbnails import SIZES, largest_that_fits, thumbnails
from beholder.task import TASKS, Task

PLAIN_COLUMNS = ("quality_reason", "aesthetics_reason", "width", "height", "note")
"""Columns that go to the page as they are."""

OnThumbnail = Callable[[int, int], None]
"""Told how many thumbnails are made, and of how many."""


@dataclass(frozen=True)
class Places:
    """Where pictures are, seen from here and from the page."""

    root: Path
    """What relative paths in the table are relative to."""
    page: Path
    """Folder of the page."""

    def file(self, path: str) -> str:
        """The file to open for a path as the table has it."""
        return file_below(self.root, path_from_text(path))

    def url(self, path: str) -> str | None:
        """A relative address of a picture or folder for the page; None where there is none: on another drive, in a tar
        file, and at an address, which the page may not load."""
        if is_elsewhere(self.file(path)):
            return None
        try:
            relative = os.path.relpath(self.file(path), self.page)
        except ValueError:
            return None
        return quote(os.fsencode(relative.replace(os.sep, "/")))


def tasks_in(rows: pa.Table) -> tuple[Task, ...]:
    """The tasks that any row has a score of."""
    return tuple(task for task in TASKS if rows[task].null_count < len(rows))


def by_score(rows: pa.Table) -> list[int]:
    """Places of `rows` from the lowest to the highest score of the first task that was scored."""
    order = np.argsort(scores_of(rows, tasks_in(rows)[0]), kind="stable")
    return [int(i) for i in order]


def rows_that_fit(rows: pa.Table, places: Places, n_bytes: int) -> tuple[pa.Table, str]:
    """As many of `rows` as `n_bytes` of JSON hold, spread evenly over the scores, and that JSON."""
    text = rows_json(rows, places)
    while len(text) > n_bytes and len(rows) > 1:
        n_kept = max(1, min(len(rows) - 1, int(0.95 * len(rows) * n_bytes / len(text))))
        ranks = np.linspace(0, len(rows) - 1, n_kept).round().astype(int)
        order = by_score(rows)
        rows = rows.take(pa.array(sorted(order[rank] for rank in ranks)))
        text = rows_json(rows, places)
    return rows, text


def rows_json(rows: pa.Table, places: Places) -> str:
    """Columns of scored rows as ASCII JSON that may stand in a script element."""
    paths = rows["path"].to_pylist()
    folders = {folder: i for i, folder in enumerate(sorted({os.path.dirname(path) for path in paths}))}
    columns: dict[str, Sequence[Any]] = {
        "folder": [folders[os.path.dirname(path)] for path in paths],
        "name": [os.path.basename(path) for path in paths],
    }
    for task in TASKS:
        columns[task] = [_rounded(score, 2) for score in rows[task].to_pylist()]
        levels = rows[f"{task}_levels"].to_pylist()
        columns[f"{task}_levels"] = [row and [_rounded(share, 3) for share in row] for row in levels]
    columns |= {name: rows[name].to_pylist() for name in PLAIN_COLUMNS}
    data = {
        "tasks": tasks_in(rows),
        "folders": [{"path": folder, "url": places.url(folder)} for folder in folders],
        "rows": {name: values for name, values in columns.items() if any(value is not None for value in values)},
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def thumbnail_lines(rows: pa.Table, places: Places, n_chars: int, on_thumbnail: OnThumbnail) -> list[str]:
    """One base64 thumbnail per row, all of them together at most `n_chars` long; empty where there is none.

    Where not even the smallest fit, the pictures at both ends of the scores have one and the middle has none.
    """
    files = [places.file(path) for path in rows["path"].to_pylist()]
    order = _ends_first(by_score(rows))
    size = largest_that_fits(files, n_chars) or SIZES[-1]
    lines, n_left = [""] * len(files), n_chars
    made = thumbnails((files[i] for i in order), size)
    for n_done, (i, text) in enumerate(zip(order, made, strict=True), start=1):
        if text is not None:
            n_left -= len(text)
            if n_left < 0:
                break
            lines[i] = text
        on_thumbnail(n_done, len(files))
    return lines


def _ends_first(order: Sequence[int]) -> list[int]:
    """`[1, 2, 3, 4, 5]` as `[1, 5, 2, 4, 3]`."""
    n_low = -(-len(order) // 2)
    ends = [0] * len(order)
    ends[::2] = order[:n_low]
    ends[1::2] = reversed(order[n_low:])
    return ends


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)  # JSON has no NaN
