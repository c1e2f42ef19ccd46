"""Which of two folders of restored pictures is better, on the same pictures and the same resamples."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.evaluate.bootstrap import Difference
from beholder.evaluate.compare import Verdict
from beholder.evaluate.means import mean_difference
from beholder.evaluate.restored_result import METRICS, read_pictures, read_restoration


class ComparedMean(Difference):
    """A mean of A minus that of B, over the pictures that have a number in both."""

    n: int


class RestorationComparison(BaseModel):
    """Two results beside the same true pictures."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    format: Literal["restoration-comparison-1"] = "restoration-comparison-1"
    a: str
    b: str
    truth: str
    truth_sha256: str
    border: int
    n_total: int
    metrics: dict[str, ComparedMean]
    notes: tuple[str, ...]
    resamples: int
    seed: int

    def write(self, file: Path) -> None:
        """Write as JSON, whole or not at all."""
        with replacing(file) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def compare_restorations(a: Path, b: Path, *, resamples: int = 1000, seed: int = 0) -> RestorationComparison:
    """Compare two folders that `evaluate_restoration` wrote.

    Raises UserError where they are not about the same true pictures, or measured with another border.
    """
    result_a, result_b = read_restoration(a), read_restoration(b)
    for field in ("truth_sha256", "border"):
        first, second = getattr(result_a, field), getattr(result_b, field)
        if first != second:
            raise UserError(
                f"these results can't be compared: {field} is {first} in A ({result_a.truth}) and {second} in B "
                f"({result_b.truth}). Evaluate both beside the same true pictures with the same --border"
            )
    table_a, table_b = read_pictures(a), read_pictures(b)
    metrics, notes = {}, []
    for name, metric in METRICS.items():
        if metric.of_folders or name not in result_a.metrics or name not in result_b.metrics:
            continue
        values = [table[name].to_numpy().astype(np.float64) for table in (table_a, table_b)]
        both: NDArray[np.bool_] = ~np.isnan(values[0]) & ~np.isnan(values[1])
        difference = mean_difference(values[0][both], values[1][both], resamples=resamples, seed=seed)
        metrics[name] = ComparedMean(**dict(difference), n=int(both.sum()))
    for which, result in (("A", result_a), ("B", result_b)):
        if result.n_measured < result.n_total:
            notes.append(f"{result.n_total - result.n_measured} of {result.n_total} pictures failed in {which}")
    return RestorationComparison(
        a=result_a.outputs,
        b=result_b.outputs,
        truth=result_a.truth,
        truth_sha256=result_a.truth_sha256,
        border=result_a.border,
        n_total=result_a.n_total,
        metrics=metrics,
        notes=tuple(notes),
        resamples=resamples,
        seed=seed,
    )


def mean_verdict(metric: str, difference: Difference) -> Verdict:
    """Which is better: the interval of the difference must lie on one side of 0, and the metric have a direction."""
    higher_is_better = METRICS[metric].higher_is_better
    if difference.low is None or difference.high is None or higher_is_better is None:
        return "not measured"
    if difference.low <= 0 <= difference.high:
        return "cannot tell"
    return "A" if (difference.low > 0) == higher_is_better else "B"
