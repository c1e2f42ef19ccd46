"""`beholder data crops`: true pictures and their low-resolution copies, to judge models of super-resolution by."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from beholder.cli.live_bar import LiveBar
from beholder.errors import UserError


def crops(
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="Folder of true pictures.", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Gets two folders: truth and input.")],
    n: Annotated[
        int | None,
        typer.Option(
            "--crops", min=1, metavar="N", help="Random crops, as many of each photo. The centre of each if not given."
        ),
    ] = None,
    side: Annotated[
        int, typer.Option(min=4, metavar="PIXELS", help="Of the true picture; the input has a quarter.")
    ] = 512,
    degradation: Annotated[
        Literal["bicubic", "realesrgan-mild", "realesrgan-hard"], typer.Option(help="What makes the input.")
    ] = "realesrgan-mild",
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FOLDER", help="Photographs at a quarter of the size, instead.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other crops and damage.")] = 0,
) -> None:
    """Cut true pictures and their low-resolution copies, to judge models of super-resolution by."""
    try:
        from beholder.alignvar.benchmark import write_crops
    except ModuleNotFoundError as error:
        raise UserError(
            f"this needs {error.name}, which is not installed. Try: pip install 'beholder[restore,evaluate]'"
        ) from None
    bar = LiveBar(sys.stderr) if sys.stderr.isatty() else None

    def draw(done: int, total: int) -> None:
        if bar is not None:
            bar.draw(done, total, f"{done:,} of {total:,} crops")

    try:
        n_crops, n_small = write_crops(
            photos, out, n=n, side=side, degradation=degradation, inputs=inputs, seed=seed, on_progress=draw
        )
    finally:
        if bar is not None:
            bar.stop()
    left_out = f"; {n_small:,} photos are smaller than {side} px and left out" if n_small else ""
    print(f"Wrote {n_crops:,} crops to {out / 'truth'} and {out / 'input'}{left_out}")
