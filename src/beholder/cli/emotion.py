"""`beholder emotion`: emotion from several modalities that may disagree, on tables of features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from beholder.batch.files import replacing
from beholder.cli.emotion_files import convert, inspect
from beholder.errors import UserError
from beholder.tical.bundle import Bundle, read_bundle
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS
from beholder.tical.folder import load, save
from beholder.tical.metrics import calibration_error, intervals, measure

app = typer.Typer()
app.command("inspect")(inspect)
app.add_typer(convert, name="convert")

_MIN_GROUPS = 10
_TITLES = {"wa": "accuracy (WA)", "ua": "mean recall (UA)", "weighted_f1": "weighted F1", "macro_f1": "macro F1"}

TableFile = Annotated[Path, typer.Argument(metavar="TABLE", help="An .npz: one array per modality; label, group, id.")]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL_FOLDER", help="What `beholder emotion fit` wrote.")]


@app.callback()
def emotion() -> None:
    """Emotion from several modalities that may disagree, and how much they do."""


@app.command("fit")
def fit(
    table: TableFile,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder of the model.")],
    variant: Annotated[str, typer.Option(help=f"How to learn: {', '.join(VARIANTS)}.")] = "attribution",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Learn from features and labels."""
    if variant not in VARIANTS:
        raise UserError(f"--variant {variant!r} is unknown; it can be {', '.join(VARIANTS)}")
    bundle = read_bundle(table)
    label = _labels(bundle, table)
    model = TicalClassifier(VARIANTS[variant], seed=seed).fit(bundle.x, label, groups=bundle.group)
    save(model, out, card={"variant": variant, "trained_on": table.name, "samples": len(label)})
    console = _console()
    console.print(f"{len(label)} samples, {', '.join(bundle.x)}; classes {', '.join(map(str, model.classes_))}")
    for modality, classes in model.fit_.fallback.items():
        if classes:
            few = ", ".join(str(model.classes_[k]) for k in classes)
            console.print(f"{modality}: too few sure samples of {few}; its most confident ones are the anchors")
    console.print(f"\nUse it: beholder emotion predict {out} TABLE --out FILE.parquet", soft_wrap=True)


@app.command("predict")
def predict(
    model: ModelFolder,
    table: TableFile,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Parquet file to write.")],
) -> None:
    """What each sample shows, what each modality shows by itself, and whether they agree."""
    bundle = read_bundle(table)
    columns = {"id": bundle.id, **load(model).assess(bundle.x)}
    with replacing(out) as temporary:
        pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), temporary)
    failed = int((columns["status"] != "ok").sum())
    ending = f", {failed} of them without any modality" if failed else ""
    _console().print(f"{len(bundle.id)} samples in {out}{ending}", soft_wrap=True)


@app.command("evaluate")
def evaluate(
    model: ModelFolder,
    table: TableFile,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="JSON file of the numbers.")] = None,
) -> None:
    """Measure a model on labelled samples, with intervals over groups."""
    bundle = read_bundle(table)
    label = _labels(bundle, table)
    classifier = load(model)
    report = classifier.assess(bundle.x)
    ok = report["status"] == "ok"
    if not ok.any():
        raise UserError(f"{table} has no sample with any modality")
    truth, pred = label[ok].astype(str), report["pred"][ok].astype(str)
    groups = np.flatnonzero(ok) if bundle.group is None else bundle.group[ok]
    values = measure(truth, pred)
    spans = intervals(truth, pred, groups) if len(np.unique(groups)) >= _MIN_GROUPS else {}
    result: dict[str, Any] = {
        "scored": int(ok.sum()),
        "total": len(label),
        **{name: {"value": value, "interval": spans.get(name)} for name, value in values.items()},
        "ece": calibration_error((truth == pred).astype(np.float64), report["confidence"][ok]),
        "mean_consistency": _mean(report["consistency"]),
    }
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _show(result, spans)


def _show(result: dict[str, Any], spans: dict[str, tuple[float, float]]) -> None:
    shown = Table(title=f"{result['scored']} of {result['total']} samples", title_justify="left")
    for column, justify in (("metric", "left"), ("value", "right"), ("95 %", "right")):
        shown.add_column(column, justify=justify)  # type: ignore[arg-type]
    for name, title in _TITLES.items():
        span = f"{spans[name][0]:.3f} to {spans[name][1]:.3f}" if spans else ""
        shown.add_row(title, f"{result[name]['value']:.3f}", span)
    shown.add_row("calibration error", f"{result['ece']:.3f}", "")
    if result["mean_consistency"] is not None:
        shown.add_row("mean consistency", f"{result['mean_consistency']:.3f}", "")
    _console().print(shown)
    if not spans:
        _console().print(f"No intervals: fewer than {_MIN_GROUPS} groups.")


def _labels(bundle: Bundle, table: Path) -> NDArray[np.generic]:
    if bundle.label is None:
        raise UserError(f"{table} has no array 'label'; it needs one label per sample")
    return bundle.label


def _mean(values: NDArray[np.float64]) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _console() -> Console:
    return Console(highlight=False, markup=False)
