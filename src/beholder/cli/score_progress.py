"""How far a run is: a bar on a terminal, one plain line per finished shard elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from beholder.batch.summary import OnProgress, Progress
from beholder.cli.live_bar import LiveBar, clock


@contextmanager
def show_progress(stream: TextIO) -> Iterator[OnProgress]:
    """A callback that shows progress on `stream` while the block runs."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    bar, pace = LiveBar(stream), _Pace()
    try:
        yield lambda now: bar.draw(now.n_done, now.n_total, pace.describe(now) if now.n_scored else "starting")
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
