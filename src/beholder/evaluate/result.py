"""What `evaluate` found, as two files: `predictions.parquet` with a row per picture, and `result.json`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.evaluate.bootstrap import Estimate
from beholder.task import ScoreRange, Task

RESULT_FILE = "result.json"
PREDICTIONS_FILE = "predictions.parquet"

PREDICTIONS = pa.schema(
    [
        ("path", pa.string()),  # as the manifest writes it
        ("mos", pa.float64()),  # native, see `Result.mos_range`
        ("pred", pa.float64()),  # as the model gave it, see `Result.pred_higher_is_better`; null where it failed
        ("status", pa.string()),  # `ok`, or why there is no prediction
        ("error", pa.string()),
        ("group", pa.string()),  # what is resampled together; null where rows are
        ("by", pa.string()),  # value of `Result.by_column`; null where there is none
    ]
)
"""Columns of `predictions.parquet`, in manifest order."""

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Part(BaseModel):
    """Agreement on some of the rows. Failures are counted, never dropped in silence."""

    model_config = _STRICT

    n_total: int
    n_scored: int
    n_groups: int | None
    """Groups among the scored rows where groups are resampled; None where rows are."""
    failures: dict[str, int]
    """Status to number of rows without a prediction."""
    metrics: dict[str, Estimate]
    """Over the scored rows. RMSE and MAE are in units of `mos_range`."""
    metrics_filled: dict[str, Estimate]
    """Over all rows, each failed one set to `Result.fill`; empty where nothing failed."""


class Result(Part):
    """One model on one manifest. The `Part` at the top is overall, those in `by` are per value of `by_column`."""

    format: Literal[1] = 1
    model: str
    weights_sha256: str | None
    """None for predictions of another tool."""
    preprocess: str | None = None
    """What the model saw of a picture and how it was asked; None for predictions of another tool."""
    task: Task
    manifest: str
    manifest_sha256: str
    """Of the whole manifest, before `split` was selected."""
    split: str
    """`train`, `val`, `test`, or `all`."""
    mos_range: ScoreRange
    """Declared scale of MOS. Where lower is better, MOS is mirrored inside it before anything is measured."""
    pred_higher_is_better: bool
    """Declared direction of `pred`. Where False, its sign is turned before anything is measured."""
    fill: float | None
    """Mean of the scored predictions, in their own unit: what a failed row gets in `metrics_filled`."""
    by_column: str | None
    by: dict[str, Part]
    resamples: int
    seed: int
    versions: dict[str, str]
    predictions_sha256: str = ""
    """Of `predictions.parquet` beside it; set by `write`."""

    def write(self, folder: Path, predictions: pa.Table) -> Result:
        """Write both files into `folder` (made if missing), each whole or not at all, `result.json` last.

        Returns the result as written, with `predictions_sha256`: `read_result` notices a pair that was torn apart.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / PREDICTIONS_FILE) as temporary:
            pq.write_table(predictions.cast(PREDICTIONS), temporary, compression="zstd")
            digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
        written = self.model_copy(update={"predictions_sha256": digest})
        with replacing(folder / RESULT_FILE) as temporary:
            temporary.write_text(written.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return written


def read_result(folder: Path) -> Result:
    """The `result.json` of a folder (or the file itself). Raises UserError where there is none or it is not valid."""
    file = folder / RESULT_FILE if folder.is_dir() else folder
    if not file.is_file():
        raise UserError(f"{file} does not exist. Make it with `beholder evaluate MODEL MANIFEST -o {folder}`")
    try:
        return Result.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"]) or "the file"
        raise UserError(f"{file} is not a result of `beholder evaluate`: {where}: {first['msg']}") from None


def read_predictions(folder: Path) -> pa.Table:
    """The `predictions.parquet` of a result, in `PREDICTIONS`. Raises UserError if the two don't belong together."""
    result = read_result(folder)
    file = (folder if folder.is_dir() else folder.parent) / PREDICTIONS_FILE
    if not file.is_file():
        raise UserError(f"{file} is missing beside {RESULT_FILE}; run `beholder evaluate` again")
    if hashlib.sha256(file.read_bytes()).hexdigest() != result.predictions_sha256:
        raise UserError(
            f"{file} is not the file that {RESULT_FILE} was made from (sha256); run `beholder evaluate` again"
        )
    return pq.read_table(file, schema=PREDICTIONS)
