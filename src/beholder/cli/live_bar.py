"""A bar on a terminal that says in words how far a run is, and the clock of such words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_REDRAW_S = 0.1
"""A bar drawn for every picture would cost more than a small picture."""


class LiveBar:
    """Appears with the first call that it draws: importing rich costs as much as several pictures."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn_s = 0.0
        self._bar: Bar | None = None

    def draw(self, done: float, total: float, line: str) -> None:
        """Show `line` and how much of `total` is done, unless the bar was drawn a moment ago."""
        now_s = time.monotonic()
        if now_s - self._drawn_s < _REDRAW_S:
            return
        self._drawn_s = now_s
        if self._bar is None:
            self._bar = self._start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=line)
        self._bar.refresh()

    def stop(self) -> None:
        """Take the bar away."""
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
