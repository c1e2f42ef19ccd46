"""`beholder score`: pictures in, a table of scores out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

# One process per core scores pictures, so threads inside them would only be in each other's way; and a process with
# threads could not be forked (`beholder.batch.workers.start_method`). NumPy's library starts them when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from beholder.batch.run import BATCH_SIZE
from beholder.batch.run import score as score_pictures
from beholder.batch.sort import SortKey
from beholder.batch.summary import Summary
from beholder.cli import Stopped
from beholder.cli.score_progress import show_progress
from beholder.cli.without_pandas import without_pandas
from beholder.errors import UserError
from beholder.imaging.open import DEFAULT_MAX_PIXELS
from beholder.scoring.table import DEFAULT

TOO_MANY_FAILED = 2
"""Exit code of a run that is done, with more failed rows than `--max-bad` allows."""


def score(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Pictures, folders, globs, CSV or Parquet files with a path column, or - for a list on stdin.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Write all rows to a .parquet, .csv or .jsonl file."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A name, see: beholder models list; a folder; or tatar:FOLDER.")
    ] = DEFAULT,
    task: Annotated[Literal["quality", "aesthetics", "both"], typer.Option(help="What to score.")] = "both",
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="quality, aesthetics or path, smallest first; -quality and so on: largest first. "
            "The table on the screen is sorted by the first score if not told otherwise, a file is not.",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a run with -o that was stopped.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Score again what failed in the file given with -o.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file given with -o.")] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Score the I-th of N slices of the list, for N machines; then: beholder merge. "
            "Or env: torchrun or Slurm say which; {shard} in the name of -o stands for it.",
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Score on a Ray cluster: its address, auto for the one that runs here, or local to start one.",
        ),
    ] = None,
    cascade: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="A slow model that scores again what is in --band, and a random share; needs -o."
        ),
    ] = None,
    band: Annotated[
        str | None,
        typer.Option(
            metavar="LOW-HIGH",
            help="Scores of --model that leave a picture in doubt; 40-60 if not given.",
            show_default=False,
        ),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Share of all pictures that both models of --cascade score; 2% if not given.",
            show_default=False,
        ),
    ] = None,
    max_bad: Annotated[
        str, typer.Option(metavar="SHARE", help="Failed rows allowed, as 1% or as a number; with more, exit code 2.")
    ] = "1%",
    recursive: Annotated[bool, typer.Option(help="Look into folders inside folders.")] = True,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes; one per CPU core if not given, or 1 for tatar.", show_default=False),
    ] = None,
    batch_size: Annotated[int, typer.Option(metavar="N", help="Pictures that a worker gets at once.")] = BATCH_SIZE,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="A larger picture is refused before it is decoded.")
    ] = DEFAULT_MAX_PIXELS,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS", help="Time limit of one picture; 30 if not given, or 600 for tatar.", show_default=False
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Have the model reason first, and keep its words; for tatar.")
    ] = False,
    levels: Annotated[
        bool, typer.Option("--levels", help="Have the model weigh level words instead of a number; for tatar.")
    ] = False,
    allow_prompt_mismatch: Annotated[
        bool,
        typer.Option("--allow-prompt-mismatch", help="Ask with other prompts than the model learned with; for tatar."),
    ] = False,
    explain_model: Annotated[
        bool, typer.Option("--explain-model", help="Say what the numbers mean and how accurate they are, and stop.")
    ] = False,
) -> int:
    """Score pictures for quality and aesthetics, 0 to 100, higher is better.

    Without -o: a table on the terminal, or tab-separated text into a pipe. A picture that can't be scored keeps its
    row, with a status and a reason. Exit code: 0 all well, 1 nothing done, 2 more failed rows than --max-bad,
    130 stopped.
    """
    if explain_model:
        from beholder.cli.models import show_model

        show_model(model)
        return 0
    allowed = parse_max_bad(max_bad)
    first_score: SortKey = "aesthetics" if task == "aesthetics" else "quality"
    try:
        with without_pandas(), show_progress(sys.stderr) as on_progress:
            options: dict[str, Any] = {
                "model": model,
                "task": task,
                "out": out,
                "resume": resume,
                "overwrite": overwrite,
                "sort": sort or (None if out else first_score),
                "shard": shard,
                "ray": ray,
                "recursive": recursive,
                "workers": workers,
                "batch_size": batch_size,
                "max_pixels": max_pixels,
                "timeout_s": timeout,
                "explain": explain,
                "levels": levels,
                "allow_prompt_mismatch": allow_prompt_mismatch,
                "on_progress": on_progress,
            }
            if cascade is not None:
                return _score_cascade(paths or [], cascade, band, audit, retry_failed, allowed, options)
            if band is not None or audit is not None:
                raise UserError("--band and --audit say what --cascade is to do. Add it, or leave them out")
            run = score_pictures(paths or [], retry_failed=retry_failed, **options)
    except KeyboardInterrupt:
        if out is None:
            raise Stopped("stopped. Nothing is kept, since there is no -o to keep it in.") from None
        raise
    if out is None and sys.stdout.isatty():
        from rich.console import Console

        from beholder.cli.score_table import print_table

        print_table(run.table, Console(highlight=False, markup=False, emoji=False), reasons=explain)
    elif out is None:
        from beholder.cli.score_plain import print_plain

        print_plain(run.table, sys.stdout, reasons=explain)
        sys.stdout.flush()
    _print_end(run.summary, run.path)
    return TOO_MANY_FAILED if run.summary.n_failed > allowed(run.summary.n_total) else 0


def _score_cascade(
    paths: list[str],
    slow: str,
    band: str | None,
    audit: str | None,
    retry_failed: bool,
    allowed: Callable[[int], float],
    options: dict[str, Any],
) -> int:
    from beholder.batch.cascade import AUDIT, BAND, Cascade, parse_audit, parse_band, score_cascade

    if options["out"] is None:
        raise UserError("--cascade needs a file for its rows: give it with -o")
    picks = parse_band(band) if band else BAND, parse_audit(audit) if audit else AUDIT
    if retry_failed:
        from beholder.batch.cascade_retry import retry_cascade

        for name in ("resume", "overwrite", "shard"):
            if options.pop(name):
                raise UserError(f"--retry-failed is about a finished file: leave out --{name}")
        run = retry_cascade(paths, cascade=Cascade(slow, *picks), **options)
    else:
        run = score_cascade(paths, cascade=Cascade(slow, *picks), **options)
    _print_end(run.summary, run.path, can_retry=False)
    if run.slow_summary is not None:
        typer.secho(str(run.slow_summary), bold=True, err=True)
    print(run, file=sys.stderr)
    slow_bad = run.n_slow_failed > allowed(run.n_slow + run.n_slow_failed)
    return TOO_MANY_FAILED if slow_bad or run.summary.n_failed > allowed(run.summary.n_total) else 0


def parse_max_bad(text: str) -> Callable[[int], float]:
    """Failed rows allowed of how many, from `1%` or `5`.

    >>> parse_max_bad("1%")(500), parse_max_bad("5")(500)
    (5.0, 5.0)
    """
    number = text.strip().removesuffix("%").strip()
    is_share = text.strip().endswith("%")
    try:
        value = float(number) if is_share else int(number)
    except ValueError:
        value = -1
    if not 0 <= value <= (100 if is_share else sys.maxsize):
        raise UserError(f"--max-bad {text}: allowed are a share from 0% to 100% or a number of rows, such as 1% or 5")
    return (lambda n_total: n_total * value / 100) if is_share else (lambda n_total: value)


def _print_end(summary: Summary, out: Path | None, *, can_retry: bool = True) -> None:
    """What a person wants to know last, on stderr, so that a pipe holds nothing but rows."""
    if summary.failures and (out is not None or not sys.stdout.isatty()):  # else they are in the table
        from beholder.batch.report import failure_lines

        print(*failure_lines(summary), sep="\n", file=sys.stderr)
        if out is not None and can_retry:
            print(f"try them again with: beholder score --retry-failed -o {out}", file=sys.stderr)
    typer.secho(str(summary), bold=True, err=True)  # plain where stderr is no terminal
    if out is not None:
        print(f"wrote {out}", file=sys.stderr)
