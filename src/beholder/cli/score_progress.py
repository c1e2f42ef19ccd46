"""How far a run is: a bar on a terminal, one plain line per finished shard elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from beholder.batch.summary import OnProgress, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_REDRAW_S = 0.1
"""A bar drawn for every picture would cost more than a small picture."""


@contextmanager
def show_progress(stream: TextIO) -> Iterator[OnProgress]:
    """A callback that shows progress on `stream` while the block runs."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    bar = _LiveBar(stream)
    try:
        yield bar
    finally:
        bar.stop()


class _Pace:
    """Rate and time left, from what this run did; rows of an earlier, resumed one don't count."""

    def __init__(self) -> None:
        self._start_s = time.monotonic()

    def describe(self, progress: Progress) -> str:
        rate = progress.n_scored / max(1e-6, time.monotonic() - self._start_s)
        left = clock((progress.n_total - progress.n_done) / rate)
        failed = f", {progress.n_failed:,} failed" if progress.n_failed else ""
        speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
        return f"{progress.n_done:,} of {progress.n_total:,}{failed}, {speed} pictures/s, {left} left"


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pace = _Pace()

    def __call__(self, progress: Progress) -> None:
        if progress.shard is not None:
            where = f"part {progress.shard + 1} of {progress.n_shards}"
            print(f"{where}: {self._pace.describe(progress)}", file=self._stream, flush=True)


class _LiveBar:
    """Appears with the first call, when the workers are starting: importing rich costs as much as several pictures."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pace = _Pace()
        self._drawn_s = 0.0
        self._bar: Bar | None = None

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if now_s - self._drawn_s >= _REDRAW_S:
            self._drawn_s = now_s
            if self._bar is None:
                self._bar = self._start()
            line = self._pace.describe(progress) if progress.n_scored else "starting"
            self._bar.update(self._bar.task_ids[0], completed=progress.n_done, total=progress.n_total, description=line)
            self._bar.refresh()

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _start(self) -> Bar:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(bar_width=None), TextColumn("{task.description}", markup=False))
        bar = Bar(*columns, console=Console(file=self._stream), transient=True, auto_refresh=False, expand=True)
        bar.start()
        bar.add_task("")
        return bar


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours where there are any.

    >>> clock(65.2), clock(3725)
    ('1:05', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
