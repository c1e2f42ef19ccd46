"""`beholder report`: a file of scores in, one page to look at out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from beholder.report.gallery import OnThumbnail
from beholder.report.page import DEFAULT_MAX_MB, write_report


def report(
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="File that `beholder score -o` wrote.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="PAGE", help="Page to write; SCORES with .html if not given.", show_default=False
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Title of the page; the pictures' folder if not given.", show_default=False)
    ] = None,
    pictures: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that relative paths in SCORES start at.")
    ] = Path(),
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL", help="Model whose card to show, where it is not known by its name; twice for a cascade."
        ),
    ] = None,
    max_mb: Annotated[
        float, typer.Option(metavar="MB", help="Largest size of the page in megabytes.")
    ] = DEFAULT_MAX_MB,
) -> None:
    """Make one self-contained page about scored pictures: distributions, best and worst, a gallery, failures.

    The page opens from disk in any browser of today and loads nothing. Thumbnails are in it; the pictures themselves
    are shown large where they still lie where they lay, seen from the page.
    """
    with _progress() as on_thumbnail:
        made = write_report(
            scores,
            out or scores.with_suffix(".html"),
            title=title,
            model=model or (),
            pictures=pictures,
            max_mb=max_mb,
            on_thumbnail=on_thumbnail,
        )
    failed = f", {made.n_failed:,} not scored" if made.n_failed else ""
    n_scored = made.n_rows - made.n_failed
    gallery = f"all {n_scored:,}" if made.n_gallery == n_scored else f"{made.n_gallery:,} of {n_scored:,}"
    print(f"{made.n_rows:,} rows{failed} | gallery: {gallery}, {made.n_thumbnails:,} thumbnails")
    print(f"wrote {made.path}, {made.n_bytes / 1e6:.1f} MB")


@contextmanager
def _progress() -> Iterator[OnThumbnail]:
    """A bar on a terminal, nothing elsewhere: a page takes a minute at most."""
    if not sys.stderr.isatty():
        yield lambda n_done, n_total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as bar:
        shown = bar.add_task("thumbnails", total=None)
        yield lambda n_done, n_total: bar.update(shown, completed=n_done, total=n_total)
