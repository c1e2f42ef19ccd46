"""`beholder emotion bench`: the studies that say what the engine is worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.batch.files import replacing
from beholder.batch.workers import usable_cpus
from beholder.errors import UserError
from beholder.tical.votes import Design, FullDesign, read_votes, research_actors

if TYPE_CHECKING:
    from beholder.tical.pairing import Rule
    from beholder.tical.votes_tables import Result

bench = typer.Typer()

_SMOKE = ("votes", "logistic", "tical-attribution")
_SMOKE_FOLDS = 2
_SMOKE_PAIRS: dict[Rule, Sequence[str]] = {
    "others": ("logistic", "tical-concat", "tical-attribution"),
    "people": ("logistic",),
}
_SMOKE_COUNTS = {"train": 600, "valid": 150, "test": 300}
_SMOKE_SETTINGS = {"epochs": 2, "warmup_epochs": 1}


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
    k: Annotated[
        int | None, typer.Option("--raters", min=1, help="Raters drawn per clip and modality. Default: 3.")
    ] = None,
    full: Annotated[
        FullDesign | None, typer.Option("--design", help="All raters and their levels instead of a draw.")
    ] = None,
    research: Annotated[
        bool, typer.Option("--research", help="Only the actors on which variants were chosen.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: cores.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Does it run: seconds, stores and shows no number.")] = False,
) -> None:
    """Pseudo labels, conflict and fusion against what people said who saw, heard, or both."""
    from beholder.tical.study import run_study
    from beholder.tical.votes_tables import FOLDS, ORDER, Run, results_of

    console = Console(highlight=False, markup=False)
    arms = _arms(arm, ORDER)
    if k is not None and full is not None:
        raise UserError(f"--raters {k} draws raters and --design {full} takes all; give one of them")
    design: Design = full or k or 3
    data = read_votes(folder)
    if smoke:
        with TemporaryDirectory() as nowhere:
            run = Run(data, Path(nowhere), design, repeats=1, research=True)
            known = research_actors(data.actor)
            run_study(
                data,
                run.folder,
                arms=_SMOKE,
                design=design,
                repeats=1,
                folds=_SMOKE_FOLDS,
                actors=known,
                on_done=console.print,
            )
            console.print(f"It runs: {len(results_of(run, _SMOKE_FOLDS)[0].rows)} arms, nothing stored")
        return
    out = _kept(out)
    run_study(
        data,
        out,
        arms=arms,
        design=design,
        repeats=repeats,
        folds=FOLDS,
        actors=research_actors(data.actor) if research else None,
        workers=workers or usable_cpus(),
        on_done=console.print,
    )
    _report(results_of(Run(data, out, design, repeats, research)), out, console)


@bench.command("pairing")
def pairing(
    items: Annotated[Path, typer.Argument(metavar="ITEMS", help="Folder of voices, faces and texts.")],
    votes_folder: Annotated[Path, typer.Option("--votes", metavar="DIR", help="Folder with votes.csv, of CREMA-D.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="RUN", help="Folder of answers; a stopped run goes on.")
    ] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this one; may be repeated. Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Draws of speakers, faces and samples per setting.")] = 10,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: cores.")] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Does it run: seconds, stores and shows no number.")] = False,
) -> None:
    """The same where what each modality shows is known: voices, faces and texts that were paired by us."""
    from beholder.tical import pairing_study, pairing_tables
    from beholder.tical.pairing import people_table

    console = Console(highlight=False, markup=False)
    arms, people = _arms(arm, tuple(pairing_study.ARMS)), people_table(read_votes(votes_folder))
    if smoke:
        with TemporaryDirectory() as nowhere:
            run, rho, tried = Path(nowhere), 0.5, 2
            for rule, some in _SMOKE_PAIRS.items():
                pairing_study.run_pairing(
                    items,
                    people,
                    run,
                    arms=some,
                    rules=(rule,),
                    rhos=(rho,),
                    seeds=tried,
                    counts=_SMOKE_COUNTS,
                    settings=_SMOKE_SETTINGS,
                    on_done=console.print,
                )
            found = pairing_tables.results_of(run, tried, [(rule, rho) for rule in _SMOKE_PAIRS])
            console.print(f"It runs: {len(found[0].rows)} rows, {len(found[1].rows)} endpoints, nothing stored")
        return
    out = _kept(out)
    pairing_study.run_pairing(
        items, people, out, arms=arms, seeds=seeds, workers=workers or usable_cpus(), on_done=console.print
    )
    _report(pairing_tables.results_of(out, seeds), out, console)


def _arms(asked: list[str] | None, known: Sequence[str]) -> Sequence[str]:
    if unknown := [name for name in asked or () if name not in known]:
        raise UserError(f"--arm {unknown[0]!r} is unknown; it can be {', '.join(known)}")
    return asked or known


def _kept(out: Path | None) -> Path:
    if out is None:
        raise UserError("--out says where predictions are kept; only --smoke does without")
    return out


def _report(results: Sequence[Result], out: Path, console: Console) -> None:
    """Tables on the screen, and as JSON in the folder of the run."""
    for one in results:
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
