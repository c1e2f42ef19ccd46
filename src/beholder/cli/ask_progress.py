"""How far a run of questions is, with rate and time left: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from beholder.language.run import OnProgress, Progress

_LINE_S, _REDRAW_S = 30.0, 0.2
"""Seconds between two lines, and between two looks of the bar."""


@contextmanager
def show_progress(stream: TextIO) -> Iterator[OnProgress]:
    """A callback that shows progress on `stream` while the block runs."""
    start_s = last_s = time.monotonic()
    if not stream.isatty():

        def write_line(progress: Progress) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if now_s - last_s >= _LINE_S:
                last_s = now_s
                print(describe(progress, now_s - start_s), file=stream, flush=True)

        yield write_line
        return
    columns = (BarColumn(bar_width=None), TextColumn("{task.description}", markup=False))
    with Bar(*columns, console=Console(file=stream), transient=True, auto_refresh=False, expand=True) as bar:
        shown = bar.add_task("starting", total=None)

        def draw(progress: Progress) -> None:
            nonlocal last_s
            now_s = time.monotonic()
            if now_s - last_s >= _REDRAW_S:
                last_s = now_s
                line = describe(progress, now_s - start_s)
                bar.update(shown, completed=progress.n_done, total=progress.n_total, description=line, refresh=True)

        yield draw


def describe(progress: Progress, seconds: float) -> str:
    """Rows done, failures, rate and time left; the rate is of what this run did in `seconds`.

    >>> describe(Progress(n_done=600, n_total=1000, n_new=100, n_failed=2), 50)
    '600 of 1,000, 2 failed, 2.0 pictures/s, 0:03:20 left'
    """
    failed = f", {progress.n_failed:,} failed" if progress.n_failed else ""
    done = f"{progress.n_done:,} of {progress.n_total:,}{failed}"
    if not progress.n_new:
        return done
    rate = progress.n_new / max(1e-6, seconds)
    left = timedelta(seconds=round((progress.n_total - progress.n_done) / rate))
    return f"{done}, {rate:.1f} pictures/s, {left} left"
