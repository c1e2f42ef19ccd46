"""`--extract`, and what is seen while files are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from beholder.errors import UserError


def parse_extract(given: Sequence[str]) -> dict[str, str]:
    """Extractor by modality, of `voice=logmel_stats` and the like.

    >>> parse_extract(["voice=logmel_stats", "text=text_encoder:models/e5"])
    {'voice': 'logmel_stats', 'text': 'text_encoder:models/e5'}
    """
    out: dict[str, str] = {}
    for one in given:
        m, equals, name = one.partition("=")
        if not (m and equals and name):
            raise UserError(f"--extract {one!r}: write MODALITY=EXTRACTOR, such as voice=logmel_stats")
        if m in out:
            raise UserError(f"--extract names {m} twice: {out[m]} and {name}")
        out[m] = name
    return out


@contextmanager
def reading(table: Path) -> Iterator[Callable[[], None]]:
    """A counter of files and texts, on a terminal; call what it gives after each."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed} files and texts"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(f"Reading {table.name}", total=None)
        yield lambda: shown.advance(task)
