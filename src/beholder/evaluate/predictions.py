"""One prediction, or one reason why there is none, for every row of a manifest."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from beholder.batch.run import score
from beholder.batch.summary import OnProgress
from beholder.data.manifest import Manifest
from beholder.errors import UserError

FILE_SUFFIXES = (".parquet", ".csv")
"""A model given as a path with one of these endings is a file of stored predictions."""


@dataclass(frozen=True)
class Predictions:
    """Three columns in manifest order, and where they come from."""

    model: str
    weights_sha256: str | None
    preprocess: str | None
    """What the model saw and how it was asked; None for predictions of another tool."""
    pred: list[float | None]
    """As the model gave it, finite; None where it failed."""
    status: list[str]
    """`ok` exactly where there is a prediction."""
    error: list[str | None]


def predict(
    model: str | Path,
    manifest: Manifest,
    *,
    workers: int | None,
    batch_size: int,
    explain: bool,
    levels: bool,
    allow_prompt_mismatch: bool,
    on_progress: OnProgress,
) -> Predictions:
    """Score the pictures of a manifest through the same pipeline that `beholder score` runs."""
    paths = manifest.paths()
    table = score(
        paths,
        model=model,
        task=manifest.task,
        workers=workers,
        batch_size=batch_size,
        explain=explain,
        levels=levels,
        allow_prompt_mismatch=allow_prompt_mismatch,
        on_progress=on_progress,
    ).table
    if len(table) != len(paths):
        raise RuntimeError(f"{len(table)} rows for {len(paths)} pictures; scoring must keep one row per input")
    return _from_columns(
        model=table["model"][0].as_py(),
        weights_sha256=table["weights_sha256"][0].as_py(),
        preprocess=table["preprocess"][0].as_py(),
        pred=table[manifest.task].to_pylist(),
        status=table["status"].to_pylist(),
        error=table["error"].to_pylist(),
    )


def read_predictions_file(path: Path, manifest: Manifest) -> Predictions:
    """Predictions of any tool: a Parquet or CSV file with `path` and a column called after the manifest's task.

    `path` is written as in the manifest, or absolute. Optional columns `status`, `error`, `model`, `weights_sha256`
    and `preprocess` are those of `beholder score -o`. A picture that the file does not have gets status `missing`; an
    empty or non-finite prediction gets `no_score`. Raises UserError where a column is missing, a path is there twice,
    or no path matches.
    """
    table = _read(path)
    for needed in ("path", manifest.task):
        if needed not in table.column_names:
            raise UserError(
                f"{path} has no column {needed!r}; it has {', '.join(table.column_names)}. "
                f"Needed: path, and {manifest.task} because manifest {manifest.name} holds {manifest.task} ratings"
            )
    given: list[str] = [str(name) for name in table["path"].to_pylist()]
    name, times = Counter(given).most_common(1)[0] if given else ("", 0)
    if times > 1:
        raise UserError(f"{path} has {times} rows for {name!r}; one prediction per picture is needed")
    row_of = {name: row for row, name in enumerate(given)}
    rows = [
        row_of.get(name, row_of.get(str(absolute)))
        for name, absolute in zip(manifest.column("path"), manifest.paths(), strict=True)
    ]
    if all(row is None for row in rows):
        raise UserError(
            f"none of the {len(rows)} pictures of manifest {manifest.name} is in {path}. The manifest has paths like "
            f"{manifest.column('path')[0]!r}, the file like {given[0] if given else 'nothing'!r}; write them alike"
        )

    def column(name: str, otherwise: Any) -> list[Any]:
        values = table[name].to_pylist() if name in table.column_names else [otherwise] * len(given)
        return [None if row is None else values[row] for row in rows]

    models, weights, how = (
        {value for value in column(name, None) if value} for name in ("model", "weights_sha256", "preprocess")
    )
    return _from_columns(
        model=models.pop() if len(models) == 1 else path.stem,
        weights_sha256=weights.pop() if len(weights) == 1 else None,
        preprocess=how.pop() if len(how) == 1 else None,
        pred=column(manifest.task, None),
        status=["missing" if row is None else status for row, status in zip(rows, column("status", "ok"), strict=True)],
        error=column("error", None),
    )


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise UserError(f"{path} does not exist; give a model, or a {' or '.join(FILE_SUFFIXES)} file of predictions")
    try:
        return pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path, partitioning=None)
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a {path.suffix} file we can read: {error}") from None


def _from_columns(
    model: str,
    weights_sha256: str | None,
    preprocess: str | None,
    pred: list[Any],
    status: list[str],
    error: list[str | None],
) -> Predictions:
    values: list[float | None] = []
    statuses: list[str] = []
    for row, (value, said) in enumerate(zip(pred, status, strict=True)):
        if isinstance(value, str):
            raise UserError(
                f"{model}: prediction {value!r} (row {row + 1}) is text; a number or an empty cell is needed"
            )
        usable = said == "ok" and value is not None and math.isfinite(value)
        values.append(float(value) if usable else None)
        statuses.append("no_score" if said == "ok" and not usable else said)
    return Predictions(model, weights_sha256, preprocess, values, statuses, error)
