"""`beholder emotion bench`: the studies that say what the engine is worth."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.batch.files import replacing
from beholder.batch.workers import usable_cpus
from beholder.errors import UserError
from beholder.tical.study import run_study
from beholder.tical.votes import read_votes, research_actors
from beholder.tical.votes_tables import FOLDS, ORDER, Result, Run, results_of

bench = typer.Typer()

_SMOKE = ("votes", "logistic", "tical-attribution")
_SMOKE_FOLDS = 2


@bench.callback()
def benched() -> None:
    """What the engine is worth, on data with known truth."""


@bench.command("votes")
def votes(
    folder: Annotated[Path, typer.Argument(metavar="VOTES", help="Folder with votes.csv, of CREMA-D.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="RUN", help="Folder of predictions; a stopped run goes on.")
    ] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated. Default: all.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Draws of raters, each with its folds.")] = 10,
    k: Annotated[int, typer.Option("--raters", min=1, help="Raters drawn per clip and modality.")] = 3,
    research: Annotated[
        bool, typer.Option("--research", help="Only the actors on which variants were chosen.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: cores.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Does it run: seconds, stores and shows no number.")] = False,
) -> None:
    """Pseudo labels, conflict and fusion against what people said who saw, heard, or both."""
    console = Console(highlight=False, markup=False)
    if unknown := [name for name in arm or () if name not in ORDER]:
        raise UserError(f"--arm {unknown[0]!r} is unknown; it can be {', '.join(ORDER)}")
    data = read_votes(folder)
    if smoke:
        with TemporaryDirectory() as nowhere:
            run = Run(data, Path(nowhere), repeats=1, research=True)
            known = research_actors(data.actor)
            run_study(data, run.folder, arms=_SMOKE, repeats=1, folds=_SMOKE_FOLDS, actors=known, on_done=console.print)
            console.print(f"It runs: {len(results_of(run, _SMOKE_FOLDS)[0].rows)} arms, nothing stored")
        return
    if out is None:
        raise UserError("--out says where predictions are kept; only --smoke does without")
    run_study(
        data,
        out,
        arms=arm or ORDER,
        k=k,
        repeats=repeats,
        folds=FOLDS,
        actors=research_actors(data.actor) if research else None,
        workers=workers or usable_cpus(),
        on_done=console.print,
    )
    for one in results_of(Run(data, out, k, repeats, research)):
        _show(one, console)
        with replacing(out / f"{one.name}.json") as temporary:
            temporary.write_text(json.dumps(vars(one), indent=2) + "\n", encoding="utf-8")


def _show(result: Result, console: Console) -> None:
    shown = Table(title=result.title, title_justify="left", caption=" ".join(result.notes), caption_justify="left")
    for i, column in enumerate(result.columns):
        shown.add_column(column, justify="right" if i else "left")
    for row in result.rows:
        shown.add_row(*row)
    console.print(shown)
