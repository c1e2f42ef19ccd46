"""`beholder emotion report`: one page about the samples whose modalities disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beholder.cli.emotion_read import open_both
from beholder.report.conflicts import write_conflicts
from beholder.tical.conflicts import find_conflicts


def report(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model's name, or what `fit` wrote.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="An .npz of features, or a .csv or .parquet.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="HTML page to write.")],
    most: Annotated[int, typer.Option(min=1, help="Samples on the page at most.")] = 200,
    split: Annotated[str | None, typer.Option(help="Only samples of this split.")] = None,
) -> None:
    """A page of the samples whose modalities agree least, with what each shows side by side."""
    loaded, bundle = open_both(model, table)
    found = find_conflicts(loaded, bundle if split is None else bundle.part(split), most)
    size = write_conflicts(found, out, table=table.name, model=model.name)
    console = Console(highlight=False, markup=False)
    console.print(f"{len(found.samples)} of {found.n_total} samples in {out}, {size / 1e6:.1f} MB", soft_wrap=True)
