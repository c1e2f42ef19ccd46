"""A finished run in words, for a terminal, a log or a notebook."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beholder.batch.sort import sorted_rows
from beholder.batch.summary import Summary
from beholder.task import TASKS

N_LISTED = 10
"""Pictures named in each list of lowest scores."""

_BAR_CELLS = 40


def report_text(rows: pa.Table, summary: Summary) -> str:
    """Summary, histogram per task, the pictures of lowest quality, and reasons of failed rows, as plain lines."""
    lines = [str(summary)]
    scored = rows.filter(pc.equal(rows["status"], "ok"))
    for task in TASKS:
        values = scored[task].drop_null().to_numpy()
        if len(values):
            lines += ["", f"{task}: {values.min():.1f} to {values.max():.1f}, median {np.median(values):.1f}"]
            lines += _histogram(values)
            lines += ["", f"lowest {task}:"]
            lowest = sorted_rows(scored, task).slice(0, N_LISTED)
            pairs = zip(lowest[task].to_pylist(), lowest["path"].to_pylist(), strict=True)
            lines += [f"{value:8.1f}  {printable(path)}" for value, path in pairs if value is not None]
    if summary.failures:
        lines += ["", *failure_lines(summary)]
    return "\n".join(lines)


def failure_lines(summary: Summary) -> list[str]:
    """The first failed rows with their reasons, and how many more there are."""
    lines = [f"not scored, {summary.n_failed:,}:"]
    lines += [f"  {row.status:<12}{printable(row.path)}: {printable(row.error)}" for row in summary.failures]
    n_more = summary.n_failed - len(summary.failures)
    return [*lines, f"  and {n_more:,} more"] if n_more else lines


def printable(text: str) -> str:
    r"""`text` on one line, with nothing in it that steers a terminal.

    >>> printable("a\nb\x1b[31m.jpg")
    'a\\nb\\x1b[31m.jpg'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _histogram(values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[str]:
    counts, edges = np.histogram(values, bins=10, range=(0.0, 100.0))
    return [
        f"  {low:3.0f}-{high:<3.0f} {'█' * round(_BAR_CELLS * int(count) / int(counts.max()))} {count:,}"
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
