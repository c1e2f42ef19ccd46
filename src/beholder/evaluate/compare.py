"""Which of two stored results is better, on the same pictures and the same resamples, or that the data cannot tell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.evaluate.bootstrap import METRICS, Difference, paired_bootstrap
from beholder.evaluate.result import Result, read_predictions, read_result
from beholder.evaluate.run import oriented

Verdict = Literal["A", "B", "cannot tell", "not measured"]

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ComparedPart(BaseModel):
    """Differences A minus B on some of the rows."""

    model_config = _STRICT

    n: int
    """Rows compared: those that both models scored, or all of them where failures are filled."""
    n_groups: int | None
    """Groups among them where groups are resampled; None where rows are."""
    metrics: dict[str, Difference]


class Comparison(BaseModel):
    """Two results on one manifest. Intervals are 95 % each; nothing is corrected for looking at many parts."""

    model_config = _STRICT

    format: Literal[1] = 1
    a: str
    b: str
    manifest: str
    manifest_sha256: str
    split: str
    overall: ComparedPart
    filled: ComparedPart | None
    """All rows, each model's failures set to its own mean prediction; None where nothing failed."""
    by_column: str | None
    by: dict[str, ComparedPart]
    notes: tuple[str, ...]
    """What a reader must know before believing the numbers, e.g. that rows were left out."""
    resamples: int
    seed: int

    def write(self, file: Path) -> None:
        """Write as JSON, whole or not at all."""
        with replacing(file) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def verdict(metric: str, difference: Difference) -> Verdict:
    """Which model is better on a metric: the interval of the difference must lie on one side of 0."""
    if difference.low is None or difference.high is None:
        return "not measured"
    if difference.low <= 0 <= difference.high:
        return "cannot tell"
    return "A" if (difference.low > 0) == METRICS[metric] else "B"


def compare(a: Path, b: Path, *, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Compare two folders that `evaluate` wrote. Both models are measured on the rows that both scored.

    Raises UserError where the results are not about the same manifest, split, pictures, MOS and groups.
    """
    result_a, result_b = read_result(a), read_result(b)
    table_a, table_b = read_predictions(a), read_predictions(b)
    _check_same(result_a, result_b, table_a, table_b)
    pred_a, mos = oriented(table_a, result_a.mos_range, result_a.pred_higher_is_better)
    pred_b, _ = oriented(table_b, result_b.mos_range, result_b.pred_higher_is_better)
    groups = None if table_a["group"].null_count else np.array(table_a["group"].to_pylist(), dtype=object)

    def part(rows: NDArray[np.bool_], first: NDArray[np.float64], second: NDArray[np.float64]) -> ComparedPart:
        chosen = None if groups is None else groups[rows].tolist()
        metrics = paired_bootstrap(first[rows], second[rows], mos[rows], groups=chosen, resamples=resamples, seed=seed)
        return ComparedPart(n=int(rows.sum()), n_groups=None if chosen is None else len(set(chosen)), metrics=metrics)

    ok_a, ok_b = ~np.isnan(pred_a), ~np.isnan(pred_b)
    both = ok_a & ok_b
    notes, filled = [], None
    if not both.all():
        notes.append(
            f"{len(both) - both.sum()} of {len(both)} pictures are left out: {(ok_b & ~ok_a).sum()} failed only in A, "
            f"{(ok_a & ~ok_b).sum()} only in B, {(~ok_a & ~ok_b).sum()} in both. This favours the model that failed on "
            "hard pictures; see the row with failures filled."
        )
        if both.any():
            means = [np.where(ok, pred, pred[ok].mean()) for ok, pred in ((ok_a, pred_a), (ok_b, pred_b))]
            filled = part(np.ones_like(both), *means)
    by: dict[str, ComparedPart] = {}
    if result_a.by_column != result_b.by_column:
        notes.append(f"no parts: A has --by {result_a.by_column}, B has --by {result_b.by_column}")
    elif result_a.by_column is not None:
        values = np.array(table_a["by"].to_pylist(), dtype=object)
        by = {name: part(both & (values == name), pred_a, pred_b) for name in result_a.by}
    return Comparison(
        a=result_a.model,
        b=result_b.model,
        manifest=result_a.manifest,
        manifest_sha256=result_a.manifest_sha256,
        split=result_a.split,
        overall=part(both, pred_a, pred_b),
        filled=filled,
        by_column=result_a.by_column if by else None,
        by=by,
        notes=tuple(notes),
        resamples=resamples,
        seed=seed,
    )


def _check_same(result_a: Result, result_b: Result, table_a: pa.Table, table_b: pa.Table) -> None:
    for field in ("manifest_sha256", "split"):
        first, second = getattr(result_a, field), getattr(result_b, field)
        if first != second:
            raise UserError(
                f"these results are not about the same pictures: {field} is {first} in A ({result_a.manifest}) and "
                f"{second} in B ({result_b.manifest}). Evaluate both models on one manifest and one split"
            )
    # The hash covers paths, scores and splits, in any order. The pairing also needs order, groups and parts.
    columns = ["path", "mos", "group"] + (["by"] if result_a.by_column == result_b.by_column else [])
    for column in columns:
        if not table_a[column].equals(table_b[column]):
            raise UserError(
                f"column {column!r} of predictions.parquet is not the same in A and B: the manifest's order, groups or "
                "parts changed in between. Evaluate both models again"
            )
