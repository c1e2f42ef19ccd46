"""`beholder emotion inspect` and `beholder emotion convert`: files of features, ours and others'."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.batch.report import printable
from beholder.errors import UserError
from beholder.tical.contents import Entry, contents
from beholder.tical.mmsa import FEATURES, PUBLISHED, SAMPLES, convert_mmsa
from beholder.tical.unpickle import MAX_BYTES

convert = typer.Typer()

MaxGb = Annotated[float, typer.Option(help="Largest pickle that is read, in GB.")]


@convert.callback()
def converted() -> None:
    """Files of others, once and for all."""


@convert.command("mmsa")
def mmsa(
    file: Annotated[Path, typer.Argument(metavar="FILE.pkl", help="MOSI, MOSEI or CH-SIMS as MMSA publishes them.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for features.npz and samples.csv.")],
    max_gb: MaxGb = MAX_BYTES / 1e9,
) -> None:
    """Read a pickle of MMSA, running nothing that it names, and write files that are no pickles."""
    data, digest = convert_mmsa(file, out, _bytes(max_gb))
    console = Console(highlight=False, markup=False)
    splits = data.columns["split"].tolist()
    parts = ", ".join(f"{splits.count(split)} {split}" for split in dict.fromkeys(splits))
    console.print(f"{len(splits)} samples: {parts}")
    for m, values in data.x.items():
        steps, width = values.shape[1:]
        gaps = f"; {data.replaced[m]} numbers were NaN or infinite, and are 0 now" if data.replaced[m] else ""
        console.print(f"{m}: {steps} steps of {width} features{gaps}", soft_wrap=True)
    console.print(f"In {out}: {FEATURES}, and {SAMPLES} to look at", soft_wrap=True)
    if digest in PUBLISHED:
        console.print(f"It is the published file: {PUBLISHED[digest]}")
    else:
        warning = f"Warning: sha256 {digest} is none of the published files'. Say so beside any result."
        console.print(warning, soft_wrap=True)


def _bytes(max_gb: float) -> int:
    if not 0 < max_gb <= 1000:
        raise UserError(f"--max-gb {max_gb:g}: allowed are numbers above 0, 1,000 at most")
    return int(max_gb * 1e9)


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .npz, .csv, .parquet, or a pickle of MMSA.")],
    max_gb: MaxGb = MAX_BYTES / 1e9,
) -> None:
    """What is in a file of features: shapes, ranges, gaps, counts."""
    shown = Table(title=printable(str(file)), title_justify="left")
    for column in ("name", "type"):
        shown.add_column(column, overflow="fold")
    for column in ("shape", "lowest", "highest", "missing", "infinite"):
        shown.add_column(column, justify="right")
    shown.add_column("values", overflow="fold")
    for entry in contents(file, _bytes(max_gb)):
        shown.add_row(
            printable(entry.name),
            entry.kind,
            " x ".join(map(str, entry.shape)),
            _number(entry.low),
            _number(entry.high),
            str(entry.missing or ""),
            str(entry.infinite or ""),
            _values(entry),
        )
    Console(highlight=False, markup=False).print(shown)


def _values(entry: Entry) -> str:
    if entry.counts:
        return ", ".join(f"{printable(value)} {n}" for value, n in entry.counts.items())
    return "" if entry.distinct is None else f"{entry.distinct} different"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
