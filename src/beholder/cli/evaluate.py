"""`beholder evaluate`: how well a model agrees with people, on a set of rated pictures.

Below it, `beholder evaluate restoration`: how near restored pictures are to the true ones.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from beholder.batch.run import BATCH_SIZE
from beholder.cli.evaluate_restoration import WIDTH, restoration
from beholder.cli.score_progress import show_progress
from beholder.evaluate.bootstrap import Estimate
from beholder.evaluate.predictions import FILE_SUFFIXES
from beholder.evaluate.result import PREDICTIONS_FILE, RESULT_FILE, Part, Result
from beholder.evaluate.run import evaluate as run_evaluate
from beholder.evaluate.tables import METRIC_TITLES
from beholder.scoring.table import folder_name, split_name

SCORES = "scores"
"""The verb that may be left out."""


class _ScoresByDefault(TyperGroup):
    """`beholder evaluate MODEL MANIFEST` is `beholder evaluate scores MODEL MANIFEST`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [SCORES, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_ScoresByDefault)
app.command("restoration")(restoration)


@app.command(SCORES)
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model's name, its folder, tatar:FOLDER, or a .parquet or .csv file of predictions."
        ),
    ],
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A manifest's folder, or its CSV or Parquet file.")
    ],
    by: Annotated[str | None, typer.Option(help="Manifest column; each of its values gets its own numbers.")] = None,
    split: Annotated[str | None, typer.Option(help="train, val, test, or all. Needed if there are several.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the two files. Default: results/MODEL-MANIFEST-SPLIT.")
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="In a file of predictions, a low number means a good picture.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that score. Default: one per CPU.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures that a process gets at once.")] = BATCH_SIZE,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Have the model reason first; for tatar, and how its results are reported."),
    ] = False,
    levels: Annotated[
        bool, typer.Option("--levels", help="Have the model weigh level words instead of a number; for tatar.")
    ] = False,
    allow_prompt_mismatch: Annotated[
        bool,
        typer.Option("--allow-prompt-mismatch", help="Ask with other prompts than the model learned with; for tatar."),
    ] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
) -> None:
    """Measure how well a model agrees with people: SRCC, KRCC, PLCC, RMSE and MAE with 95 % intervals.

    Writes predictions.parquet and result.json. The word `scores` may be left out.
    """
    folder = out or _default_folder(model, manifest, split, "explained" if explain else "levels" if levels else None)
    with show_progress(sys.stderr) as on_progress:
        result = run_evaluate(
            model,
            manifest,
            out=folder,
            by=by,
            split=split,
            lower_is_better=lower_is_better,
            workers=workers,
            batch_size=batch_size,
            explain=explain,
            levels=levels,
            allow_prompt_mismatch=allow_prompt_mismatch,
            resamples=resamples,
            seed=seed,
            on_progress=on_progress,
        )
    print_result(Console(highlight=False, markup=False, width=WIDTH), result)
    print(f"\nWrote {folder / RESULT_FILE} and {folder / PREDICTIONS_FILE}")
    if result.n_scored == 0:
        raise typer.Exit(1)


def _default_folder(model: str, manifest: Path, split: str | None, way: str | None) -> Path:
    _, source = split_name(model)
    name = source.stem if source.suffix.lower() in FILE_SUFFIXES else folder_name(source)
    data = manifest.resolve()
    parts = [name, data.name if data.is_dir() else data.parent.name, split, way]
    return Path("results") / "-".join(part for part in parts if part)


def print_result(console: Console, result: Result) -> None:
    """Print a result for a person: what was measured, the numbers, and everything that failed."""
    console.print(f"{result.model} on {result.manifest}:{result.split} ({result.task})")
    console.print(_scored(result) + "".join(f", {n} {status}" for status, n in result.failures.items()))
    if not result.mos_range.higher_is_better:
        console.print("MOS is mirrored inside its range, because the manifest declares that lower is better.")
    if not result.pred_higher_is_better:
        console.print("Predictions change sign, because lower is better.")
    console.print(_overall(result))
    _explain(console, result)
    if result.by:
        console.print()
        console.print(_parts(result))
        for name, part in result.by.items():
            _explain(console, part, f"{name}, ")


def _overall(result: Result) -> Table:
    units = "pictures" if result.n_groups is None else f"{result.n_groups} groups"
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column(f"95 % interval, resampling {units}")
    rows = {METRIC_TITLES[name]: estimate for name, estimate in result.metrics.items()}
    if result.metrics_filled:
        filled = ("srcc", "plcc_raw", "plcc_logistic4")
        rows |= {f"{METRIC_TITLES[name]}, failures set to the mean": result.metrics_filled[name] for name in filled}
    for title, estimate in rows.items():
        table.add_row(title, _value(estimate), _interval(estimate))
    return table


def _parts(result: Result) -> Table:
    metrics = ("srcc", "plcc_logistic4", "rmse")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in (str(result.by_column), "scored", *(METRIC_TITLES[metric] for metric in metrics)):
        table.add_column(title)
    for name, part in result.by.items():
        cells = [f"{_value(part.metrics[metric])} {_interval(part.metrics[metric])}" for metric in metrics]
        table.add_row(name, f"{part.n_scored} / {part.n_total}", *cells)
    return table


def _explain(console: Console, part: Part, where: str = "") -> None:
    """One line per reason why a number or an interval is missing."""
    reasons: dict[str, list[str]] = {}
    for metric, estimate in part.metrics.items():
        if estimate.problem:
            reasons.setdefault(estimate.problem, []).append(METRIC_TITLES[metric])
    for reason, titles in reasons.items():
        console.print(f"{where}{', '.join(titles)}: {reason}", soft_wrap=True)


def _scored(part: Part) -> str:
    return f"{part.n_scored} / {part.n_total} scored"


def _value(estimate: Estimate) -> str:
    return "failed" if estimate.value is None else f"{estimate.value:.3f}"


def _interval(estimate: Estimate) -> str:
    return "" if estimate.low is None else f"[{estimate.low:.3f}, {estimate.high:.3f}]"
