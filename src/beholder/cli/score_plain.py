"""Scores for the next program in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from beholder.batch.report import printable
from beholder.task import TASKS

if TYPE_CHECKING:
    import pyarrow as pa


def print_plain(rows: pa.Table, stream: TextIO, *, reasons: bool = False) -> None:
    """All rows as tab-separated lines under a header: path, scores, status, error, and `reasons` if wanted."""
    texts = ["error", *(f"{task}_reason" for task in TASKS if reasons)]
    columns = ["path", *TASKS, "status", *texts]
    stream.write("\t".join(columns) + "\n")
    for batch in rows.select(columns).to_batches(max_chunksize=1000):
        for row in batch.to_pylist():
            scores = ["" if row[task] is None else f"{row[task]:.2f}" for task in TASKS]
            cells = (printable(row["path"]), *scores, row["status"], *(printable(row[name] or "") for name in texts))
            stream.write("\t".join(cells) + "\n")
