"""`evaluate`: a model, a manifest, and how well the two agree, with every failure counted."""

from __future__ import annotations

import platform
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beholder.batch.run import BATCH_SIZE
from beholder.batch.summary import OnProgress
from beholder.data.columns import SPLITS
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.evaluate.bootstrap import bootstrap
from beholder.evaluate.predictions import FILE_SUFFIXES, Predictions, predict, read_predictions_file
from beholder.evaluate.result import PREDICTIONS, Part, Result
from beholder.scoring.table import resolve
from beholder.task import ScoreRange

ALL = "all"
"""The `split` that means every row."""

NO_VALUE = "(none)"
"""Name of the part whose rows have no value in the `by` column."""

MAX_PARTS = 100


def evaluate(
    model: str | Path,
    manifest: str | Path | Manifest,
    *,
    out: Path,
    by: str | None = None,
    split: str | None = None,
    lower_is_better: bool = False,
    workers: int | None = None,
    batch_size: int = BATCH_SIZE,
    explain: bool = False,
    levels: bool = False,
    allow_prompt_mismatch: bool = False,
    resamples: int = 1000,
    seed: int = 0,
    on_progress: OnProgress = lambda progress: None,
) -> Result:
    """Score the pictures of a manifest, measure the agreement with their MOS, and write both to the folder `out`.

    `model` is a model's name or folder, or a `.parquet` or `.csv` file of predictions, whose direction the caller
    declares with `lower_is_better`. `split` may be left out only where the manifest has a single one. `by` names a
    manifest column: each of its values gets its own numbers. Groups are resampled whole where the manifest was split
    by group, rows otherwise. `workers`, `batch_size`, `explain`, `levels` and `allow_prompt_mismatch` are those
    of `beholder.score`. Raises UserError for arguments that don't fit the manifest.
    """
    whole = manifest if isinstance(manifest, Manifest) else read_manifest(Path(manifest))
    split = _chosen_split(whole, split)
    rows = whole if split == ALL else whole.select(split)  # type: ignore[arg-type]  # checked just above
    parts = _parts(rows, by)
    is_file = Path(model).suffix.lower() in FILE_SUFFIXES
    if lower_is_better and not is_file:
        raise UserError(f"--lower-is-better is for a file of predictions; {model} declares its own direction")
    if (explain or levels) and is_file:
        raise UserError(f"--explain and --levels are for a model; {model} is a file of predictions")
    runtimes: tuple[str, ...] = ()
    if is_file:
        found = read_predictions_file(Path(model), rows)
    else:
        runtimes = resolve(model).engine.runtimes
        found = predict(
            model,
            rows,
            workers=workers,
            batch_size=batch_size,
            explain=explain,
            levels=levels,
            allow_prompt_mismatch=allow_prompt_mismatch,
            on_progress=on_progress,
        )
    groups = rows.groups() if "group" in rows.table.column_names and rows.split_by != "row" else None
    table = _table(rows, found, groups, parts)

    scored = [value for value in found.pred if value is not None]
    fill = float(np.mean(scored)) if scored else None

    def measured(part: pa.Table) -> Part:
        return _measure(part, rows.range, fill, not lower_is_better, resamples, seed)

    overall = measured(table)
    names = sorted(set(parts)) if parts else []
    result = Result(
        **dict(overall),
        model=found.model,
        weights_sha256=found.weights_sha256,
        preprocess=found.preprocess,
        task=rows.task,
        manifest=rows.name,
        manifest_sha256=whole.sha256,
        split=split,
        mos_range=rows.range,
        pred_higher_is_better=not lower_is_better,
        fill=fill,
        by_column=by,
        by={name: measured(table.filter(pa.array([each == name for each in parts or ()]))) for name in names},
        resamples=resamples,
        seed=seed,
        versions={"python": platform.python_version()}
        | {package: version(package) for package in ("beholder", "numpy", "scipy", *runtimes)},
    )
    return result.write(out, table)


def oriented(
    predictions: pa.Table, mos_range: ScoreRange, pred_higher_is_better: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) predictions (NaN where failed) and (n,) MOS, both higher is better, from a table of `PREDICTIONS`.

    DMOS is mirrored inside its declared range, so its unit stays and RMSE is in native units; predictions of which
    lower ones are better change sign.
    """
    pred = predictions["pred"].to_numpy().astype(np.float64)
    mos = predictions["mos"].to_numpy().astype(np.float64)
    return (
        pred if pred_higher_is_better else -pred,
        mos if mos_range.higher_is_better else mos_range.low + mos_range.high - mos,
    )


def _measure(
    table: pa.Table, mos_range: ScoreRange, fill: float | None, pred_higher_is_better: bool, resamples: int, seed: int
) -> Part:
    pred, mos = oriented(table, mos_range, pred_higher_is_better)
    ok = ~np.isnan(pred)
    groups = None if table["group"].null_count else np.array(table["group"].to_pylist(), dtype=object)

    def estimates(rows: NDArray[np.bool_], values: NDArray[np.float64]) -> dict[str, Any]:
        chosen = None if groups is None else groups[rows].tolist()
        return bootstrap(values[rows], mos[rows], groups=chosen, resamples=resamples, seed=seed)

    filled = {}
    if fill is not None and not ok.all():
        substitute = fill if pred_higher_is_better else -fill
        filled = estimates(np.ones_like(ok), np.where(ok, pred, substitute))
    return Part(
        n_total=len(ok),
        n_scored=int(ok.sum()),
        n_groups=None if groups is None else len(set(groups[ok].tolist())),
        failures=dict(Counter(status for status in table["status"].to_pylist() if status != "ok").most_common()),
        metrics=estimates(ok, pred),
        metrics_filled=filled,
    )


def _table(rows: Manifest, found: Predictions, groups: list[str] | None, parts: list[str] | None) -> pa.Table:
    empty = [None] * len(rows)
    columns = {
        "path": rows.column("path"),
        "mos": rows.scores(),
        "pred": found.pred,
        "status": found.status,
        "error": found.error,
        "group": groups or empty,
        "by": parts or empty,
    }
    return pa.table([pa.array(columns[field.name], field.type) for field in PREDICTIONS], schema=PREDICTIONS)


def _chosen_split(manifest: Manifest, split: str | None) -> str:
    counts = Counter(manifest.column("split"))
    have = ", ".join(f"{name} ({counts[name]})" for name in SPLITS if name in counts)
    if split is None:
        if len(counts) > 1:
            raise UserError(f"manifest {manifest.name} has several splits: {have}. Try --split test, or --split {ALL}")
        return str(next(iter(counts)))
    if split != ALL and split not in counts:
        raise UserError(f"manifest {manifest.name} has no split {split!r}; it has {have}, and {ALL} means every row")
    return split


def _parts(rows: Manifest, by: str | None) -> list[str] | None:
    if by is None:
        return None
    parts = [NO_VALUE if value in (None, "") else str(value) for value in rows.column(by)]
    if len(set(parts)) > MAX_PARTS:
        raise UserError(
            f"column {by!r} has {len(set(parts))} different values, at most {MAX_PARTS} are shown. "
            f"Try a column with few values; manifest {rows.name} has {', '.join(rows.table.column_names)}"
        )
    return parts
