"""`beholder upscale`: pictures in, larger pictures out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from beholder.batch.report import printable
from beholder.cli.score import TOO_MANY_FAILED, parse_max_bad
from beholder.cli.upscale_progress import show_progress
from beholder.errors import UserError
from beholder.restore.encode import TEMPLATE
from beholder.restore.rows import Run
from beholder.restore.run import DEFAULT_MAX_PIXELS, DEFAULT_TIMEOUT_S
from beholder.restore.run import upscale as upscale_pictures

_SHOWN = 10


def upscale(
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
        typer.Option(
            "--out", "-o", metavar="OUT", help="Folder to fill; for one picture also a file.", show_default=False
        ),
    ] = None,
    scale: Annotated[float, typer.Option(help="How many times larger, 1 to 8: 4 by the model, then Lanczos.")] = 4,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A folder that beholder train alignvar made; the model in the package if not given.",
            show_default=False,
        ),
    ] = None,
    fidelity: Annotated[
        float | None,
        typer.Option(
            metavar="0..1",
            help="How closely to follow the input; 1 brings its noise and JPEG blocks back, too. The model's own value "
            "if not given.",
            show_default=False,
        ),
    ] = None,
    colour_fix: Annotated[
        Literal["lowband", "adain", "none"],
        typer.Option(help="Tones from the input: all that is coarse, mean and contrast, or none."),
    ] = "lowband",
    alpha: Annotated[
        Literal["bicubic", "model"], typer.Option(help="What enlarges transparency; with model it takes twice as long.")
    ] = "bicubic",
    tile: Annotated[
        str,
        typer.Option(
            metavar="auto|N", help="How far tiles lie apart at most, in input pixels; less is smoother and slower."
        ),
    ] = "auto",
    batch_size: Annotated[
        str, typer.Option(metavar="auto|N", help="Tiles at once; halved where memory is short.")
    ] = "auto",
    decode: Annotated[
        Literal["greedy", "sample", "soft", "mixed"] | None,
        typer.Option(help="How detail is chosen; the model's own way if not given.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="For --decode sample; 0 if not given.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="Where the model runs: cpu, cuda, mps.")] = "cpu",
    half: Annotated[
        bool, typer.Option("--half", help="Compute in 16 bits: faster on a GPU, and on a CPU that is made for it.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="TEMPLATE",
            help="Names of results; the ending chooses .png, .jpg or .webp. {stem}, {name}, {scale}.",
            show_default=TEMPLATE,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make again what is there; it is skipped otherwise.")
    ] = False,
    recursive: Annotated[bool, typer.Option(help="Look into folders inside folders.")] = True,
    max_pixels: Annotated[
        int, typer.Option(metavar="N", help="A larger picture is refused before it is decoded.")
    ] = DEFAULT_MAX_PIXELS,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="For reading one picture; a slower one gets status timeout.")
    ] = DEFAULT_TIMEOUT_S,
    max_bad: Annotated[
        str, typer.Option(metavar="SHARE", help="Failed pictures allowed, as 1% or as a number; more: exit code 2.")
    ] = "1%",
    report: Annotated[
        Path | None,
        typer.Option(metavar="PAGE", help="Write a page with before and after, and the quality of both."),
    ] = None,
) -> int:
    """Make pictures larger. Details, small faces and text in the result may be invented: it is no evidence of anything.

    Folders keep their tree, results that are there already are skipped, and each appears only when it is complete.
    Depth, transparency, colour profile and EXIF are kept. Exit code: 0 all well, 1 nothing done, 2 more failed pictures
    than --max-bad, 130 stopped.
    """
    if out is None:
        raise UserError("-o is missing: name a folder for the results. Try: beholder upscale photos -o larger")
    allowed = parse_max_bad(max_bad)
    if report is not None:
        from beholder.report.page import check_page

        check_page(report)
        if any(os.path.realpath(path) == os.path.realpath(report) for path in paths or []):
            raise UserError(f"--report {report} is a picture to be enlarged. Choose another name")
    with show_progress(sys.stderr) as on_progress:
        run = upscale_pictures(
            paths or [],
            out,
            model=model,
            scale=scale,
            tile=_number("--tile", tile),
            batch_size=_number("--batch-size", batch_size),
            fidelity=fidelity,
            colour_fix=colour_fix,
            decode=decode,
            seed=seed,
            alpha=alpha,
            name=name,
            overwrite=overwrite,
            recursive=recursive,
            max_pixels=max_pixels,
            timeout_s=timeout,
            device=device,
            half=half,
            on_progress=on_progress,
        )
    _print_end(run, out)
    if report is not None:
        _write_report(run, report)
    return TOO_MANY_FAILED if len(run.failures) > allowed(len(run.rows)) else 0


def _number(option: str, text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{option} {text}: allowed are auto and whole numbers") from None


def _print_end(run: Run, out: Path) -> None:
    if run.failures:
        print(f"not enlarged, {len(run.failures):,}:", file=sys.stderr)
        for row in run.failures[:_SHOWN]:
            print(f"  {row.status:<12}{printable(row.path)}: {printable(row.error or '')}", file=sys.stderr)
        if len(run.failures) > _SHOWN:
            print(f"  and {len(run.failures) - _SHOWN:,} more", file=sys.stderr)
    if noted := [row for row in run.rows if row.note]:
        print(f"with a note, {len(noted):,}:", file=sys.stderr)
        for row in noted[:_SHOWN]:
            print(f"  {printable(row.path)}: {printable(row.note or '')}", file=sys.stderr)
        if len(noted) > _SHOWN:
            print(f"  and {len(noted) - _SHOWN:,} more", file=sys.stderr)
    typer.secho(str(run), bold=True, err=True)
    if any(row.status == "ok" for row in run.rows):
        print(f"wrote {printable(str(out))}", file=sys.stderr)


def _write_report(run: Run, page: Path) -> None:
    from beholder.report.pairs import Pair, write_pairs

    pairs = [Pair(row.path, str(row.out)) for row in run.rows if row.out is not None]
    failures = [(row.path, row.status, row.error or "") for row in run.failures]
    n_bytes = write_pairs(pairs, page, failures=failures, made_by=run.model)
    print(f"wrote {page}, {n_bytes / 1e6:.1f} MB", file=sys.stderr)
