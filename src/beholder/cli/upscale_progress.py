"""How far enlarging is: a bar on a terminal, one plain line per finished picture elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from beholder.batch.report import printable
from beholder.cli.live_bar import LiveBar, clock
from beholder.restore.run import OnProgress, Progress


@contextmanager
def show_progress(stream: TextIO) -> Iterator[OnProgress]:
    """A callback that shows progress on `stream` while the block runs."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    bar, pace = LiveBar(stream), Pace()

    def draw(progress: Progress) -> None:
        line = pace.describe(progress)  # counts tiles, so it must see every call
        bar.draw(progress.n_done + progress.tiles_done / max(1, progress.tiles_total), progress.n_total, line)

    try:
        yield draw
    finally:
        bar.stop()


class Pace:
    """Time left, from tiles: pictures to come are taken to have as many as those before them."""

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._tiles_before = 0
        self._pictures_before = 0
        self._tiles_now = 0

    def describe(self, progress: Progress) -> str:
        """Counts and time left, in words."""
        if self._start_s is None:  # at the first call the model is there
            self._start_s = time.monotonic()
        if progress.row is not None:
            self._tiles_before += self._tiles_now
            self._pictures_before += self._tiles_now > 0
        self._tiles_now = progress.tiles_total
        n_known = self._pictures_before + (progress.tiles_total > 0)
        n_tiles = self._tiles_before + progress.tiles_total
        n_made = self._tiles_before + progress.tiles_done
        failed = f", {progress.n_failed:,} failed" if progress.n_failed else ""
        where = f"{progress.n_done:,} of {progress.n_total:,}{failed}"
        if progress.tiles_total:
            where += f", tile {progress.tiles_done:,} of {progress.tiles_total:,}"
        if not n_made:
            return where
        n_coming = progress.n_total - progress.n_done - (progress.tiles_total > 0)
        n_left = n_tiles - n_made + n_coming * n_tiles / n_known
        seconds = n_left * (time.monotonic() - self._start_s) / n_made
        return f"{where}, about {clock(seconds)} left"


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._pace = Pace()

    def __call__(self, progress: Progress) -> None:
        line = self._pace.describe(progress)
        if progress.row is not None:
            print(f"{line}: {printable(progress.row.path)} {progress.row.status}", file=self._stream, flush=True)
