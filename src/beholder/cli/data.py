"""`beholder data`: import rated data sets, look at them, check their splits for leaks, write texts about them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, cast

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from beholder.cli.data_caption import caption, convert_captions
from beholder.cli.data_crops import crops
from beholder.cli.data_purify import purify
from beholder.cli.data_rationales import rationales
from beholder.data.catalogue import CATALOGUE, DataSet, import_set
from beholder.data.columns import SPLITS
from beholder.data.importers.generic import Columns, generic
from beholder.data.labels import Facts, build_manifest, salt
from beholder.data.leaks import find_leaks, fix_leaks
from beholder.data.manifest import Manifest, SplitBy, read_manifest, write_manifest
from beholder.data.scenes import SAME_SCENE
from beholder.data.split import SHARES
from beholder.errors import UserError
from beholder.task import ScoreRange, Task

app = typer.Typer()
imports = typer.Typer()
app.add_typer(imports, name="import", help="Turn a set's own label files into a manifest. Nothing is downloaded.")
app.command("caption")(caption)
app.command("purify")(purify)
app.command("convert-captions")(convert_captions)
app.command("rationales")(rationales)
app.command("crops")(crops)

Format = Literal["csv", "parquet"]
Root = Annotated[Path, typer.Argument(metavar="ROOT", help="Folder the set was unpacked in.", exists=True)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the manifest.")]
Shares = Annotated[
    tuple[float, float, float], typer.Option(metavar="TRAIN VAL TEST", help="Parts of a set without official ones.")
]
Seed = Annotated[int, typer.Option(min=0, help="Another seed draws other parts.")]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Leave labels out whose picture is not there, and say how many.")
]
TableFormat = Annotated[Format, typer.Option("--format", help="Of the table.")]
ManifestPath = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="A manifest's folder, or its CSV or Parquet file.")
]


@app.command("list")
def list_sets() -> None:
    """List the public sets that can be imported."""
    table = Table(box=None, pad_edge=False)
    for title in ("set", "task", "range", "better", "pictures", "split by", "licence"):
        table.add_column(title, justify="right" if title == "pictures" else "left", no_wrap=title != "licence")
    for row in CATALOGUE:
        table.add_row(
            row.name,
            "+".join(row.tasks),
            f"{row.range.low:g} to {row.range.high:g}",
            _better(row.range),
            f"{row.n_pictures:,}",
            row.split_by,
            row.licence,
        )
    console = _console()
    console.print(table)
    console.print(
        "\nImport one: beholder data import SET ROOT -o FOLDER; your own labels: beholder data import generic -h"
    )


def _import_command(row: DataSet) -> Callable[..., None]:
    def run(
        root: Root,
        out: Out,
        task: Annotated[Task | None, typer.Option(help="For a set with several; default: its first.")] = None,
        shares: Shares = SHARES,
        seed: Seed = 0,
        allow_missing: AllowMissing = False,
        table_format: TableFormat = "csv",
    ) -> None:
        manifest = import_set(row.name, root, task=task, shares=shares, seed=seed, allow_missing=allow_missing)
        _written(manifest, out, table_format)
        if len(manifest) != row.n_pictures:
            _console().print(f"Note: the set is known to have {row.n_pictures:,} pictures; here are {len(manifest):,}.")

    run.__doc__ = f"{row.source}. Reads {row.label_files}."
    return run


for _row in CATALOGUE:
    imports.command(_row.name)(_import_command(_row))


@imports.command("generic")
def import_generic(
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="CSV or TSV with a header.", exists=True)],
    out: Out,
    path_col: Annotated[str, typer.Option(help="Column of picture paths, relative to --root.")],
    score_col: Annotated[str, typer.Option(help="Column of scores.")],
    score_range: Annotated[
        tuple[float, float], typer.Option("--range", metavar="LOW HIGH", help="Ends of the rating scale.")
    ],
    task: Annotated[Task, typer.Option(help="What the scores answer.")],
    name: Annotated[str, typer.Option(help="Short name of the set.")],
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="A low score means a good picture, as in DMOS.")
    ] = False,
    root: Annotated[Path | None, typer.Option(help="Folder of the pictures. Default: that of LABELS.")] = None,
    group_col: Annotated[
        str | None, typer.Option(help="Rows with equal values stay in one part: a person, a scene, a product.")
    ] = None,
    split_col: Annotated[str | None, typer.Option(help="Column of train, val and test, if you have one.")] = None,
    std_col: Annotated[str | None, typer.Option(help="Column of the ratings' standard deviation.")] = None,
    raters_col: Annotated[str | None, typer.Option(help="Column of the number of raters.")] = None,
    text_col: Annotated[str | None, typer.Option(help="Column of a caption or comment.")] = None,
    stratify: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Give each of its values the same shares in every part.")
    ] = None,
    licence: Annotated[str, typer.Option(help="Of the pictures and labels.")] = "not stated",
    source: Annotated[str, typer.Option(help="Where they come from.")] = "own labels",
    shares: Shares = SHARES,
    seed: Seed = 0,
    allow_missing: AllowMissing = False,
    table_format: TableFormat = "csv",
) -> None:
    """Your own labels: any table with a column of paths and one of scores."""
    columns = Columns(path_col, score_col, group_col, split_col, std_col, raters_col, text_col)
    declared = ScoreRange(*score_range, higher_is_better=not lower_is_better)
    split_by: SplitBy = "official" if split_col else "group" if group_col else "row"
    manifest = build_manifest(
        generic(labels, columns),
        Facts(name, task, declared, split_by, licence, source),
        labels.parent if root is None else root,
        shares=shares,
        stratify=stratify,
        seed=seed,
        allow_missing=allow_missing,
    )
    _written(manifest, out, table_format)


@app.command("show")
def show(manifest: ManifestPath) -> None:
    """Show what a manifest holds: range and direction, rows per part, a histogram of the scores, licence."""
    print_manifest(_console(), read_manifest(manifest))


@app.command("check")
def check(
    manifest: ManifestPath,
    fix: Annotated[bool, typer.Option("--fix", help="Write the manifest anew, without leaks.")] = False,
    stratify: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="With --fix: same shares for each of its values.")
    ] = None,
    shares: Shares = SHARES,
    seed: Seed = 0,
    threshold: Annotated[
        float, typer.Option(min=0.05, max=1.0, help="Agreement from which two pictures are one scene.")
    ] = SAME_SCENE,
    limit: Annotated[int, typer.Option(min=0, help="Leaks printed at most.")] = 20,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads that decode. Default: one per CPU.")] = None,
) -> None:
    """Look for the same file, scene or group in two parts of a split. Exit code 2 if there are any left."""
    redraws = stratify is not None or shares != SHARES or seed != 0
    if redraws and not fix:
        raise UserError("--stratify, --shares and --seed say how parts are drawn anew; they go with --fix")
    console = _console()
    found = read_manifest(manifest)
    if redraws and found.split_by == "official":
        raise UserError(f"{found.name} has official parts, which are never drawn anew; leave out --stratify and such")
    report = find_leaks(found, threshold, workers or os.cpu_count() or 1)
    names, splits = found.column("path"), found.column("split")
    counts = Counter(twin.kind for twin in report.twins)
    console.print(
        f"{found.name}: {len(found):,} pictures compared, {counts['same file']} pairs are the same file, "
        f"{counts['same scene']} show the same scene; {len(report.leaks)} leaks between parts"
    )
    for path, reason in list(report.unreadable.items())[:limit]:
        console.print(f"  unreadable  {path}: {reason}")
    for leak in report.leaks[:limit]:
        ends = [f"{names[row]} ({splits[row]})" for row in (leak.first, leak.second)]
        console.print(f"  {leak.kind}  {leak.agreement:.2f}  {ends[0]} and {ends[1]}")
    if len(report.leaks) > limit:
        hidden = f"... and {len(report.leaks) - limit:,} more; all" if limit else "all"
        console.print(f"  {hidden} of them: --limit {len(report.leaks)}")
    if fix:
        mended = fix_leaks(found, report, salt=salt(found.name, seed), shares=shares, stratify=stratify)
        folder = manifest if manifest.is_dir() else manifest.parent
        is_parquet = (folder / "manifest.parquet").is_file()
        _written(mended, folder, "parquet" if is_parquet else "csv")
    elif report.leaks:
        console.print("Mend it with --fix: what belongs together goes into one part.")
        raise typer.Exit(2)


def print_manifest(console: Console, manifest: Manifest) -> None:
    """Print the facts of a manifest and a histogram of its scores per part."""
    declared, scores = manifest.range, manifest.scores()
    facts = {
        "task": manifest.task,
        "range": f"{declared.low:g} to {declared.high:g}, {_better(declared)} is better",
        "scores": f"{scores.min():g} to {scores.max():g}, mean {scores.mean():.4g}",
        "split by": manifest.split_by,
        "groups": f"{len(set(manifest.groups())):,}",
        "licence": manifest.licence,
        "source": manifest.source,
        "pictures": str(manifest.image_root),
        "sha256": manifest.sha256,
    }
    console.print(f"{manifest.name}: {len(manifest):,} pictures\n")
    for key, value in facts.items():
        console.print(f"  {key:<9} {value}")
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    splits = manifest.column("split")
    have = [split for split in SPLITS if split in splits]
    for title in ("score", *have, ""):
        table.add_column(title, justify="left" if title == "" else "right")
    edges = np.linspace(declared.low, declared.high, 11)
    counts = {split: np.histogram(scores[np.array(splits) == split], edges)[0] for split in have}
    total = np.histogram(scores, edges)[0]
    for i, rows in enumerate(total):
        bar = "█" * round(30 * rows / total.max())
        table.add_row(f"{edges[i]:g} to {edges[i + 1]:g}", *(f"{counts[split][i]:,}" for split in have), bar)
    table.add_row("all", *(f"{counts[split].sum():,}" for split in have), "")
    console.print()
    console.print(table)


def _written(manifest: Manifest, folder: Path, table_format: Format) -> None:
    file = write_manifest(manifest, folder, table_format)
    counts = Counter(cast(list[str], manifest.column("split")))
    parts = ", ".join(f"{split} {counts[split]:,}" for split in SPLITS)
    _console().print(f"Wrote {file}: {len(manifest):,} pictures ({parts}), sha256 {manifest.sha256[:12]}")


def _better(declared: ScoreRange) -> str:
    return "higher" if declared.higher_is_better else "lower"


def _console() -> Console:
    return Console(highlight=False, markup=False, soft_wrap=True)
