"""`beholder compare`: which of two evaluated models is better, or that the data cannot tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.cli.evaluate_restoration import WIDTH, print_restoration_comparison
from beholder.evaluate.compare import ComparedPart, Comparison, verdict
from beholder.evaluate.compare import compare as run_compare
from beholder.evaluate.restored_compare import RestorationComparison, compare_restorations
from beholder.evaluate.restored_result import RESTORATION_FILE
from beholder.evaluate.tables import METRIC_TITLES


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder that `beholder evaluate` wrote.")],
    b: Annotated[
        Path,
        typer.Argument(metavar="B", help="Another, on the same manifest and split, or beside the same true pictures."),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Also write the comparison to this JSON file.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
) -> None:
    """Compare two evaluations on the same pictures and the same resamples (paired bootstrap)."""
    console = Console(highlight=False, markup=False, width=WIDTH)
    comparison: Comparison | RestorationComparison
    if (a / RESTORATION_FILE).is_file():
        comparison = compare_restorations(a, b, resamples=resamples, seed=seed)
        print_restoration_comparison(console, comparison)
    else:
        comparison = run_compare(a, b, resamples=resamples, seed=seed)
        print_comparison(console, comparison)
    if out is not None:
        comparison.write(out)
        print(f"\nWrote {out}")


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print each difference with its interval, and in words which model it favours."""
    console.print(f"A = {comparison.a}, B = {comparison.b}, on {comparison.manifest}:{comparison.split}")
    parts: dict[str, ComparedPart] = {"overall": comparison.overall}
    if comparison.filled is not None:
        parts["failures filled"] = comparison.filled
    parts |= {f"{comparison.by_column} {value}": part for value, part in comparison.by.items()}
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("", "n", "metric", "A - B", "95 % interval", "p", "better"):
        table.add_column(title, justify="right" if title in {"n", "A - B", "p"} else "left", no_wrap=True)
    for name, part in parts.items():
        for metric, difference in part.metrics.items():
            first = metric == next(iter(part.metrics))
            number = "" if difference.value is None else f"{difference.value:+.4f}"
            low, high, p = difference.low, difference.high, difference.p
            table.add_row(
                name if first else "",
                str(part.n) if first else "",
                METRIC_TITLES[metric],
                number,
                "" if low is None else f"[{low:+.4f}, {high:+.4f}]",
                "" if p is None else f"{p:.3f}",
                difference.problem or verdict(metric, difference),
            )
    console.print(table)
    units = "groups" if comparison.overall.n_groups is not None else "pictures"
    console.print(
        f"{comparison.resamples} resamples of {units}. Each interval stands for itself: among many parts, "
        "one in twenty excludes 0 by chance.",
        soft_wrap=True,
    )
    for note in comparison.notes:
        console.print(f"Note: {note}", soft_wrap=True)
    console.print(_sentence(comparison), soft_wrap=True)


def _sentence(comparison: Comparison) -> str:
    difference = comparison.overall.metrics["srcc"]
    better = verdict("srcc", difference)
    if better == "not measured" or difference.value is None:
        return f"SRCC cannot be compared: {difference.problem}."
    interval = f"SRCC differs by {difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
    if better == "cannot tell":
        return f"The data cannot tell A and B apart: {interval}."
    name = comparison.a if better == "A" else comparison.b
    return f"{better} ({name}) orders these pictures better: {interval}."
