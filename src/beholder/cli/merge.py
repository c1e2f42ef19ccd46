"""`beholder merge`: outputs of several machines in, one file out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from beholder.cli.without_pandas import without_pandas

_SHOWN_SLICES = 10


def merge(
    files: Annotated[list[Path], typer.Argument(metavar="SCORES...", help="Files that `beholder score -o` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="File to write: .parquet, .csv or .jsonl.")],
) -> None:
    """Make one file of several, as `beholder score --shard` leaves them.

    They must be of one model and made in the same way, and have no picture in common. Rows keep their order.
    """
    with without_pandas():
        from beholder.batch.machines import missing_slices
        from beholder.batch.merge import merge as merge_files

        n_rows = merge_files(files, out)
    if missing := missing_slices(files):
        shown = ", ".join(map(str, missing[:_SHOWN_SLICES])) + (", ..." if len(missing) > _SHOWN_SLICES else "")
        print(f"not among these files, by their names: slice {shown}", file=sys.stderr)
    print(f"{n_rows:,} rows of {len(files):,} files\nwrote {out}", file=sys.stderr)
