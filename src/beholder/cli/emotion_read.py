"""A model and a table together, and a bar while raw files are read."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beholder.cli.live_bar import LiveBar, clock
from beholder.extract.saved import read_extractors
from beholder.tical.bundle import Bundle, read_bundle
from beholder.tical.card import model_folder
from beholder.tical.folder import Model, load
from beholder.tical.raw import OnRead


def open_both(model: Path, table: Path) -> tuple[Model, Bundle]:
    """A model by name or folder, and a table, whose raw files the model's own extractors read."""
    loaded = load(model)
    with reading() as on_read:
        return loaded, read_bundle(table, read_extractors(model_folder(model)), on_read)


@contextmanager
def reading() -> Iterator[OnRead]:
    """A bar on the error stream of a terminal, with the time left of the modality that is being read."""
    if not sys.stderr.isatty():
        yield lambda modality, done, total: None
        return
    bar = LiveBar(sys.stderr)
    begun: dict[str, float] = {}

    def on_read(modality: str, done: int, total: int) -> None:
        since = begun.setdefault(modality, time.monotonic())
        left = (time.monotonic() - since) / done * (total - done)
        bar.draw(done, total, f"{modality}: {done} of {total}, {clock(left)} left")

    try:
        yield on_read
    finally:
        bar.stop()
