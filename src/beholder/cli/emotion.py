"""`beholder emotion`: emotion from several modalities that may disagree, on tables of features.

What needs torch is imported by the command that is called: `--help` and `inspect` then take no seconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from beholder.batch.files import replacing
from beholder.cli.emotion_bench import bench
from beholder.cli.emotion_files import convert, inspect
from beholder.cli.emotion_raw import parse_extract, reading
from beholder.cli.emotion_report import report
from beholder.cli.emotion_run import run
from beholder.errors import UserError
from beholder.tical.bundle import Bundle, read_bundle
from beholder.tical.config import VARIANTS, Task
from beholder.tical.embedded import resolve
from beholder.tical.sentiment import TITLES as SENTIMENT_TITLES

if TYPE_CHECKING:
    from beholder.tical.folder import Model

app = typer.Typer()
app.command("report")(report)
app.command("run")(run)
app.command("inspect")(inspect)
app.add_typer(bench, name="bench")
app.add_typer(convert, name="convert")

_OFFERED = [name for name, settings in VARIANTS.items() if settings.get("unimodal_targets") != "given"]
"""Variants that need nothing but a table: labels of single modalities are given in Python."""

_TITLES = {
    "wa": "accuracy (WA)",
    "ua": "mean recall (UA)",
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    **SENTIMENT_TITLES,
}

TableFile = Annotated[Path, typer.Argument(metavar="TABLE", help="An .npz, .csv or .parquet of features.")]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="What `beholder emotion fit` wrote, or tical-mini.")]
Split = Annotated[str | None, typer.Option(help="Only samples of this split.")]


@app.callback()
def emotion() -> None:
    """Emotion from several modalities that may disagree, and how much they do."""


@app.command("fit")
def fit(
    table: TableFile,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the model.")],
    variant: Annotated[str, typer.Option(help=f"How to learn: {', '.join(_OFFERED)}.")] = "attribution",
    task: Annotated[Task, typer.Option(help="Whether labels are classes or numbers.")] = "classification",
    edges: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Of regression: where classes of the label meet.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    standardize_by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What 'group' is, such as speaker: features are standardised within each, without labels. "
            "What is told of a sample then depends on the others of its group.",
        ),
    ] = None,
    extract: Annotated[
        list[str] | None,
        typer.Option(metavar="M=NAME", help="How files or texts of modality M become features; once per modality."),
    ] = None,
) -> None:
    """Learn from features, or from files and texts, and labels."""
    from beholder.tical.evaluation import fit_bundle, labels_of, mean_consistency
    from beholder.tical.folder import check_new, save
    from beholder.tical.raw.kept import save_extraction
    from beholder.tical.raw.rows import learn_extraction

    if variant not in _OFFERED:
        raise UserError(f"--variant {variant!r} is unknown; it can be {', '.join(_OFFERED)}")
    check_new(out)
    asked = parse_extract(extract or [])
    with reading(table) as done:
        raw = learn_extraction(table, asked, done) if asked else None
        bundle = read_bundle(table, raw)
    labels_of(bundle, table)
    settings = {**VARIANTS[variant], **_edges(edges, task), "standardize_by": standardize_by}
    model = fit_bundle(bundle, settings, task, seed)
    agreed = mean_consistency(model, bundle)
    card: dict[str, Any] = {"variant": variant, "trained_on": table.name, "samples": len(bundle.id)}
    card["mean_consistency"] = agreed
    save(model, out, card=card | ({"extractors": asked} if asked else {}))
    if raw is not None:
        save_extraction(raw.kept, out)
    console = _console()
    what = f"classes {', '.join(map(str, model.classes_))}" if task == "classification" else "the label is a number"
    console.print(f"{len(bundle.id)} samples, {', '.join(bundle.x)}; {what}")
    for modality, classes in model.fit_.fallback.items():
        if classes:
            few = ", ".join(str(model.classes_[k]) for k in classes)
            console.print(f"{modality}: too few sure samples of {few}; its most confident ones are the anchors")
    if known := [f"{split} {value:.3f}" for split, value in agreed.items() if value is not None]:
        console.print(f"Mean consistency: {', '.join(known)}")
    console.print(f"\nUse it: beholder emotion predict {out} TABLE --out FILE.parquet", soft_wrap=True)


@app.command("predict")
def predict(
    model: ModelFolder,
    table: TableFile,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Parquet file to write.")],
    split: Split = None,
) -> None:
    """What each sample shows, what each modality shows by itself, and whether they agree."""
    from beholder.tical.evaluation import grouping
    from beholder.tical.folder import load

    folder = resolve(model)
    _check_output(out, ".parquet", table, folder)
    loaded = load(folder)
    bundle = _part(_read(table, folder, loaded), split)
    columns: dict[str, Any] = {"id": bundle.id, **loaded.assess(bundle.x, by=grouping(loaded, bundle))}
    status = columns["status"].astype(object)
    status[list(bundle.problems)] = "unreadable"
    columns |= {"status": status, "error": [bundle.problems.get(i, "") for i in range(len(status))]}
    with replacing(out) as temporary:
        pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), temporary)
    failed = int((status != "ok").sum())
    ending = f", {failed} of them without any modality that could be read" if failed else ""
    _console().print(f"{len(bundle.id)} samples in {out}{ending}", soft_wrap=True)


@app.command("evaluate")
def evaluate(
    model: ModelFolder,
    table: TableFile,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="JSON file of the numbers.")] = None,
    split: Split = None,
    measures: Annotated[
        Literal["sentiment", "sims"] | None,
        typer.Option(help="Of numbers: those of MOSI and MOSEI, or of CH-SIMS.", show_default="sentiment"),
    ] = None,
) -> None:
    """Measure a model on labelled samples, with intervals over groups."""
    from beholder.tical.evaluation import labels_of, measure_model
    from beholder.tical.folder import load

    folder = resolve(model)
    if out is not None:
        _check_output(out, ".json", table, folder)
    loaded = load(folder)
    if measures is not None and loaded.task != "regression":
        raise UserError(f"--measures {measures} is for numbers, and this model tells classes; leave it out")
    bundle = _read(table, folder, loaded)
    labels_of(bundle, table)
    if split is None and bundle.split is not None and "test" in bundle.split:
        split = "test"
    result = measure_model(loaded, _part(bundle, split), measures or "sentiment")
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    title = f"{result['scored']} of {result['total']} samples" + (f" of split {split}" if split else "")
    _show(result, title)
    if unknown := result["unknown_labels"]:
        _console().print(f"Labels that the model doesn't know count as missed: {', '.join(unknown)}", soft_wrap=True)
    if loaded.task == "regression":
        _console().print("Acc-2 and F1 say what they count: with 0 as positive, or without samples whose label is 0.")


def _read(table: Path, folder: Path, model: Model) -> Bundle:
    """A table for a model; what is no features yet is extracted as at the model's fit."""
    from beholder.tical.raw.rows import extraction_of

    with reading(table) as done:
        return read_bundle(table, extraction_of(folder, model.modalities_, done), model.modalities_)


def _check_output(out: Path, suffix: str, table: Path, folder: Path) -> None:
    """Raise `UserError`, before any work, where a file can't be written or would replace what is read."""
    if out.suffix.lower() != suffix:
        raise UserError(f"--out {out}: its ending is {out.suffix or '(none)'}, and {suffix} is what is written")
    if out.is_dir():
        raise UserError(f"--out {out} is a folder; name a file in it")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: the folder {out.parent} does not exist. Make it first")
    if out.exists() and (out.resolve() == table.resolve() or out.resolve().is_relative_to(folder.resolve())):
        raise UserError(f"--out {out} is read here, and would be replaced; name another file")


def _show(result: dict[str, Any], title: str) -> None:
    shown = Table(title=title, title_justify="left")
    for column, justify in (("metric", "left"), ("value", "right"), ("95 %", "right")):
        shown.add_column(column, justify=justify)  # type: ignore[arg-type]
    measured = {name: result[name] for name in _TITLES if name in result}
    for name, found in measured.items():
        value, span = found["value"], found["interval"]
        ends = f"{span[0]:.3f} to {span[1]:.3f}" if span and None not in span else ""
        shown.add_row(_TITLES[name], "–" if value is None else f"{value:.3f}", ends)
    for name, words in (("ece", "calibration error"), ("mean_consistency", "mean consistency")):
        if result.get(name) is not None:
            shown.add_row(words, f"{result[name]:.3f}", "")
    people = result.get("against_people", {})
    for m in (m for m in people if m != "conflict"):
        for name, words in (("pseudo_label", "pseudo label"), ("head", "head")):
            if people[m][name] is not None:
                shown.add_row(f"{m}: {words} against people", f"{people[m][name]:.3f}", "")
    if people and people["conflict"]["auroc"] is not None:
        shown.add_row("AUROC of 1 - consistency for conflict", f"{people['conflict']['auroc']:.3f}", "")
    _console().print(shown)
    if not any(found["interval"] for found in measured.values()):
        from beholder.tical.evaluation import MIN_GROUPS

        _console().print(f"No intervals: fewer than {MIN_GROUPS} groups.")


def _edges(edges: str | None, task: Task) -> dict[str, Any]:
    if edges is None:
        return {}
    if task != "regression":
        raise UserError("--edges are where classes of a number meet; they go with --task regression")
    try:
        return {"label_edges": [float(edge) for edge in edges.split(",")]}
    except ValueError:
        raise UserError(f"--edges {edges}: numbers with commas between them are allowed, such as -0.5,0.5") from None


def _part(bundle: Bundle, split: str | None) -> Bundle:
    return bundle if split is None else bundle.part(split)


def _console() -> Console:
    return Console(highlight=False, markup=False)
