"""`beholder evaluate restoration`: how near restored pictures are to the true ones."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.batch.report import printable
from beholder.cli.live_bar import LiveBar, clock
from beholder.evaluate.restored import OnProgress, evaluate_restoration
from beholder.evaluate.restored_compare import RestorationComparison, mean_verdict
from beholder.evaluate.restored_result import METRICS, PICTURES_FILE, RESTORATION_FILE, Restoration, read_pictures

WIDTH = 200
"""Columns a table may take. Numbers stay whole; where a terminal is narrower, it folds the line."""

_SHOWN_FAILURES = 10


def restoration(
    outputs: Annotated[Path, typer.Argument(metavar="OUTPUTS", help="Folder of restored pictures.")],
    truth: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of the true pictures, of the same names; _x4 is no matter.")
    ],
    inputs: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FOLDER", help="Folder of what was restored, for the LR consistency.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the two files. Default: results/restoration-OUTPUTS."),
    ] = None,
    border: Annotated[
        int, typer.Option(metavar="PIXELS", help="Left out on each side for PSNR, SSIM and high frequencies.")
    ] = 4,
    learned: Annotated[
        bool, typer.Option(help="Measure with pyiqa too, as far as it and its weights are on this machine.")
    ] = True,
    pyiqa_python: Annotated[
        str | None,
        typer.Option(metavar="PYTHON", help="A Python that has pyiqa; this one if not given.", show_default=False),
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Where pyiqa measures: cpu, cuda.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Pictures measured at once. Default: one per CPU.", show_default=False)
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples behind each interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resamples.")] = 0,
) -> None:
    """Compare restored pictures with the true ones: PSNR, SSIM, MS-SSIM, GMSD and more, with 95 % intervals.

    Learned metrics (LPIPS, DISTS, NIQE, MUSIQ, MANIQA, CLIPIQA, FID) are measured by pyiqa where it is installed and
    has its weights; nothing is downloaded. Writes pictures.parquet and restoration.json.
    """
    folder = out or Path("results") / f"restoration-{outputs.resolve().name}"
    with _show_progress() as on_progress:
        result = evaluate_restoration(
            outputs,
            truth,
            out=folder,
            inputs=inputs,
            border=border,
            learned=learned,
            pyiqa_python=pyiqa_python,
            device=device,
            threads=threads,
            resamples=resamples,
            seed=seed,
            on_progress=on_progress,
        )
    _print_result(Console(highlight=False, markup=False, width=WIDTH), result)
    _print_failures(folder)
    print(f"\nWrote {folder / RESTORATION_FILE} and {folder / PICTURES_FILE}")
    if result.n_measured == 0:
        raise typer.Exit(1)


def print_restoration_comparison(console: Console, comparison: RestorationComparison) -> None:
    """Print each difference with its interval, and which folder it favours."""
    console.print(f"A = {comparison.a}, B = {comparison.b}, beside {comparison.truth}, border {comparison.border} px")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("metric", "n", "A - B", "95 % interval", "p", "better"):
        table.add_column(title, justify="right" if title in {"n", "A - B", "p"} else "left", no_wrap=True)
    for name, one in comparison.metrics.items():
        metric = METRICS[name]
        places = metric.places + 1
        table.add_row(
            metric.title,
            str(one.n),
            "" if one.value is None else f"{one.value:+.{places}f}",
            "" if one.low is None else f"[{one.low:+.{places}f}, {one.high:+.{places}f}]",
            "" if one.p is None else f"{one.p:.3f}",
            one.problem or ("" if metric.higher_is_better is None else mean_verdict(name, one)),
        )
    console.print(table)
    console.print(f"{comparison.resamples} resamples of pictures. Each interval stands for itself.", soft_wrap=True)
    for note in comparison.notes:
        console.print(f"Note: {note}", soft_wrap=True)


def _print_result(console: Console, result: Restoration) -> None:
    console.print(f"{result.outputs} beside {result.truth}, border {result.border} px")
    failures = "".join(f", {n} {status}" for status, n in result.failures.items())
    extra = f"; {result.n_extra} more outputs belong to no true picture" if result.n_extra else ""
    console.print(f"{result.n_measured} / {result.n_total} measured{failures}{extra}")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("metric", "better", "mean", "95 % interval, resampling pictures"):
        table.add_column(title, justify="right" if title == "mean" else "left")
    for name, one in result.metrics.items():
        metric = METRICS[name]
        better = {True: "higher", False: "lower", None: "nearer to 1"}[metric.higher_is_better]
        table.add_row(
            metric.title,
            better,
            "failed" if one.value is None else f"{one.value:.{metric.places}f}",
            "" if one.low is None else f"[{one.low:.{metric.places}f}, {one.high:.{metric.places}f}]",
        )
    console.print(table)
    problems = {name: one.problem for name, one in result.metrics.items() if one.problem}
    for heading, reasons in (("", problems), ("skipped: ", result.skipped)):
        names: dict[str, list[str]] = {}
        for name, reason in reasons.items():
            names.setdefault(reason, []).append(METRICS[name].title)
        for reason, titles in names.items():
            console.print(f"{heading}{', '.join(titles)}: {reason}", soft_wrap=True)


def _print_failures(folder: Path) -> None:
    rows = read_pictures(folder).select(["path", "status", "error"]).to_pylist()
    failed = [row for row in rows if row["status"] != "ok"]
    for row in failed[:_SHOWN_FAILURES]:
        print(f"  {row['status']:<12}{printable(row['path'])}: {printable(row['error'])}")
    if len(failed) > _SHOWN_FAILURES:
        print(f"  and {len(failed) - _SHOWN_FAILURES:,} more in {PICTURES_FILE}")


@contextmanager
def _show_progress() -> Iterator[OnProgress]:
    """A bar on a terminal, and nothing elsewhere: what is measured takes minutes at most per thousand pictures."""
    if not sys.stderr.isatty():
        yield lambda done, total, what: None
        return
    bar = LiveBar(sys.stderr)
    started: dict[str, float] = {}

    def draw(done: int, total: int, what: str) -> None:
        seconds = time.monotonic() - started.setdefault(what, time.monotonic())
        left = f", about {clock(seconds * (total - done) / done)} left" if seconds else ""
        bar.draw(done, total, f"{what}: {done:,} of {total:,}{left}")

    try:
        yield draw
    finally:
        bar.stop()
