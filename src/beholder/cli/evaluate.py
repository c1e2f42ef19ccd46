"""`beholder evaluate`: how well a model agrees with people, on a set of rated pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.evaluate.bootstrap import Estimate
from beholder.evaluate.result import PREDICTIONS_FILE, RESULT_FILE, Part, Result
from beholder.evaluate.run import evaluate as run_evaluate
from beholder.evaluate.tables import METRIC_TITLES


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model's name or folder, or a .parquet or .csv file of predictions."),
    ],
    manifest: Annotated[
        Path, typer.Argument(metavar="MANIFEST", help="A manifest's folder, or its CSV or Parquet file.")
    ],
    by: Annotated[str | None, typer.Option(help="Manifest column; each of its values gets its own numbers.")] = None,
    split: Annotated[str | None, typer.Option(help="train, val, test, or all. Needed if there are several.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder of the two files. Default: results/MODEL-MANIFEST.")
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="In a file of predictions, a low number means a good picture.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that score. Default: one per CPU.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
) -> None:
    """Measure how well a model agrees with people: SRCC, KRCC, PLCC, RMSE and MAE with 95 % intervals.

    Writes predictions.parquet and result.json.
    """
    folder = out or Path("results") / f"{Path(model).stem}-{manifest.stem or manifest.resolve().name}"
    result = run_evaluate(
        model,
        manifest,
        out=folder,
        by=by,
        split=split,
        lower_is_better=lower_is_better,
        workers=workers,
        resamples=resamples,
        seed=seed,
    )
    print_result(Console(highlight=False, markup=False), result)
    print(f"\nWrote {folder / RESULT_FILE} and {folder / PREDICTIONS_FILE}")
    if result.n_scored == 0:
        raise typer.Exit(1)


def print_result(console: Console, result: Result) -> None:
    """Print a result for a person: what was measured, the numbers, and everything that failed."""
    console.print(f"{result.model} on {result.manifest}:{result.split} ({result.task})")
    console.print(_scored(result) + "".join(f", {n} {status}" for status, n in result.failures.items()))
    if not result.mos_range.higher_is_better:
        console.print("MOS is mirrored inside its range, because the manifest declares that lower is better.")
    if not result.pred_higher_is_better:
        console.print("Predictions change sign, because lower is better.")
    units = "rows" if result.n_groups is None else f"{result.n_groups} groups"
    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column(f"95 % interval over {units}", no_wrap=True)
    parts: dict[str, Part] = {"all": result} | result.by if result.by else {"": result}
    for name, part in parts.items():
        table.add_column(f"{name}\n{_scored(part)}" if name else "", justify="right", no_wrap=True)
    for metric, title in METRIC_TITLES.items():
        table.add_row(title, *(_cell(part.metrics[metric]) for part in parts.values()))
    if result.metrics_filled:
        for metric in ("srcc", "plcc_raw", "plcc_logistic4"):
            cells = [_cell((part.metrics_filled or part.metrics)[metric]) for part in parts.values()]
            table.add_row(f"{METRIC_TITLES[metric]}, failures set to the mean", *cells)
    console.print(table, crop=False, overflow="ignore")
    for name, part in parts.items():
        for metric, estimate in part.metrics.items():
            if estimate.problem:
                console.print(
                    f"{name + ', ' if name else ''}{METRIC_TITLES[metric]}: {estimate.problem}", soft_wrap=True
                )


def _scored(part: Part) -> str:
    return f"{part.n_scored} / {part.n_total} scored"


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return "failed"
    interval = "" if estimate.low is None else f"  [{estimate.low:.3f}, {estimate.high:.3f}]"
    return f"{estimate.value:.3f}{interval}"
