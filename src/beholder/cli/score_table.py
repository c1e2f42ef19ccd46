"""Scores for the eye: a table with bars on a terminal."""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from beholder.batch.report import printable
from beholder.task import LEVELS, TASKS, level_of

N_ENDS = 15
"""Of a long list, pictures shown at each end."""

BAR_CELLS = 12
_EIGHTHS = " ▏▎▍▌▋▊▉"

COLOURS = dict(zip(LEVELS, ("red3", "dark_orange", "gold3", "chartreuse3", "green3"), strict=True))
_TRACK = "grey23"

Row = dict[str, Any]


def print_table(rows: pa.Table, console: Console, *, reasons: bool = False) -> None:
    """Scored pictures in the order of `rows` with a bar per score, `reasons` if wanted, and failed ones below."""
    tasks = [task for task in TASKS if rows[task].null_count < len(rows)]
    scored = rows.filter(pc.equal(rows["status"], "ok"))
    failed = rows.filter(pc.not_equal(rows["status"], "ok"))
    folder = _common_folder(rows["path"].to_pylist())
    if len(scored):
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
        name_width = console.width - len(tasks) * (BAR_CELLS + 10)
        table.add_column(f"{folder}" if folder else "picture", no_wrap=True, max_width=max(16, name_width))
        for task in tasks:
            table.add_column(task, no_wrap=True)
        for row in _ends(scored):
            if row is None:
                between = f"… {len(scored) - 2 * N_ENDS:,} more between; all of them: -o scores.csv"
                table.add_row(Text(between, style="dim"), *[""] * len(tasks))
                continue
            name = _fit_name(printable(row["path"].removeprefix(folder)), max(16, name_width))
            table.add_row(Text(name), *(_bar(row[task]) for task in tasks))
        console.print(table)
        console.print()
    if reasons:
        print_reasons(scored, folder, console)
    if len(failed):
        print_failed(failed, folder, console)


def print_reasons(scored: pa.Table, folder: str, console: Console) -> None:
    """What the model said of each picture that the table shows."""
    for row in _ends(scored):
        said = [(task, row[f"{task}_reason"]) for task in TASKS if row[f"{task}_reason"]] if row else []
        if row and said:
            console.print(Text(printable(row["path"].removeprefix(folder)), style="bold"))
            for task, reason in said:
                console.print(Padding(Text.assemble((f"{task}: ", "dim"), printable(reason)), (0, 0, 0, 2)))
            console.print()


def print_failed(failed: pa.Table, folder: str, console: Console) -> None:
    """Rows without a score, the first of them by name."""
    console.print(Text(f"not scored: {len(failed):,}", style="bold"))
    for row in failed.slice(0, 2 * N_ENDS).to_pylist():
        line = Text.assemble(
            ("✗ ", "red3"), printable(row["path"].removeprefix(folder)), "  ", (row["status"], "red3"), "  ",
            (printable(row["error"] or ""), "dim"),
        )  # fmt: skip
        console.print(line, soft_wrap=True)
    if len(failed) > 2 * N_ENDS:
        console.print(Text(f"… and {len(failed) - 2 * N_ENDS:,} more; all of them: -o scores.csv", style="dim"))
    console.print()


def _ends(scored: pa.Table) -> list[Row | None]:
    """All rows, or of many the first and the last with None between."""
    if len(scored) <= 2 * N_ENDS + 1:
        return list(scored.to_pylist())
    first, last = scored.slice(0, N_ENDS), scored.slice(len(scored) - N_ENDS)
    return [*first.to_pylist(), None, *last.to_pylist()]


def _bar(score: float | None) -> Text:
    """Score, and a bar in the colour of its level, on a dark track as long as 100."""
    if score is None:
        return Text("")
    eighths = round(score / 100 * BAR_CELLS * 8)
    full, part = divmod(eighths, 8)
    filled = "█" * full + (_EIGHTHS[part] if part else "")
    colour = COLOURS[level_of(score / 100)]
    return Text.assemble(
        (f"{score:5.1f} ", "bold"), (filled, f"{colour} on {_TRACK}"), (" " * (BAR_CELLS - len(filled)), f"on {_TRACK}")
    )


def _common_folder(paths: list[str]) -> str:
    """The folder that all paths share, with its separator; empty where there is none."""
    try:
        folder = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120 (text, not a path)
    except ValueError:  # absolute and relative ones, or two drives
        return ""
    return folder if not folder or folder.endswith(os.sep) else folder + os.sep


def _fit_name(name: str, width: int) -> str:
    """`name` in `width` cells: of a long path the end says more."""
    from rich.cells import cell_len

    if cell_len(name) <= width:
        return name
    while cell_len(name) > width - 1:
        name = name[1:]
    return "…" + name
