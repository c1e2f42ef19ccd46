"""`beholder emotion run`: a public benchmark by its recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.tical.recipe import TicalRecipe
from beholder.training.recipe import read_recipe

_EXAMPLE = "recipes/tical/mosi_aligned.yaml"


def run(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help=f"YAML file, e.g. {_EXAMPLE}.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the run; a stopped one goes on.")],
) -> None:
    """Learn and measure a public benchmark by its protocol: every fold, every seed, the test part once."""
    from beholder.tical.protocol import run_recipe

    console = Console(highlight=False, markup=False)
    summary = run_recipe(
        read_recipe(recipe_file, TicalRecipe, _EXAMPLE), out, on_done=lambda line: console.print(line, soft_wrap=True)
    )
    shown = Table(title=f"{summary.n} results, our run", title_justify="left")
    shown.add_column("measure")
    shown.add_column("mean", justify="right")
    shown.add_column("sd", justify="right")
    for name, found in summary.measures.items():
        shown.add_row(name, *("–" if value is None else f"{value:.3f}" for value in (found.mean, found.sd)))
    console.print(shown)
