"""`beholder export`: a model folder in, a checkpoint that scores without torch out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beholder.errors import UserError
from beholder.scoring.model import TaskChoice
from beholder.uniqa.export import export as write_checkpoint
from beholder.uniqa.graph import PLACES, VIEWS
from beholder.uniqa.model import Uniqa


def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL_FOLDER", help="A UniQA model: config.json and weights.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the checkpoint.")],
    name: Annotated[str | None, typer.Option(help="Name on the card; that of the folder OUT if not given.")] = None,
    views: Annotated[int, typer.Option(help=f"Squares looked at per picture: {', '.join(map(str, PLACES))}.")] = VIEWS,
    int8: Annotated[bool, typer.Option("--int8", help="Weights in eight bits: smaller, not exactly the same.")] = False,
    task: Annotated[
        TaskChoice, typer.Option(help="What the checkpoint scores; both: all that the model has.")
    ] = "both",
) -> None:
    """Write a trained model as a checkpoint for `beholder score --model`, which needs no torch."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {str(out)!r} is a file; give a folder, new or old")
    loaded = Uniqa.load(model)
    tasks = None if task == "both" else [task]
    card = write_checkpoint(loaded, out, name=name or out.resolve().name, views=views, int8=int8, tasks=tasks)
    size = (out / card.weights_file).stat().st_size / 1e6
    console = Console(highlight=False, markup=False)
    console.print(f"{card.weights_file}: {size:.1f} MB, scores {', '.join(card.tasks)}", soft_wrap=True)
    console.print(f"\nUse it: beholder score PICTURES --model {out}", soft_wrap=True)
