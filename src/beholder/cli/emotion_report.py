"""`beholder emotion report`: one page about the samples whose modalities disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beholder.cli.emotion_raw import reading
from beholder.tical.bundle import read_bundle
from beholder.tical.embedded import resolve


def report(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="What `beholder emotion fit` wrote, or tical-mini.")],
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="An .npz, .csv or .parquet of features.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="HTML page to write.")],
    most: Annotated[int, typer.Option(min=1, help="Samples on the page at most.")] = 200,
    split: Annotated[str | None, typer.Option(help="Only samples of this split.")] = None,
) -> None:
    """A page of the samples whose modalities agree least, with what each shows side by side."""
    from beholder.report.conflicts import write_conflicts
    from beholder.report.page import check_page
    from beholder.tical.conflicts import find_conflicts
    from beholder.tical.evaluation import grouping
    from beholder.tical.folder import load
    from beholder.tical.raw.rows import extraction_of

    check_page(out)
    folder = resolve(model)
    loaded = load(folder)
    with reading(table) as done:
        bundle = read_bundle(table, extraction_of(folder, loaded.modalities_, done), loaded.modalities_)
    grouping(loaded, bundle)  # says what is missing where the model needs groups
    found = find_conflicts(loaded, bundle if split is None else bundle.part(split), most)
    size = write_conflicts(found, out, table=table.name, model=model.name)
    console = Console(highlight=False, markup=False)
    console.print(f"{len(found.samples)} of {found.n_total} samples in {out}, {size / 1e6:.1f} MB", soft_wrap=True)
