"""The samples whose modalities agree least, and what each of them shows: what a page about them is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from beholder.tical.bundle import Bundle
    from beholder.tical.folder import Model


@dataclass(frozen=True)
class Shown:
    """What one modality shows by itself, or all together."""

    told: str
    """The class, or the number."""
    distribution: Sequence[float]
    """(K,) over the classes; empty where a number is all there is."""
    typicality: float | None = None
    """None where the variant measures none."""


@dataclass(frozen=True)
class Sample:
    """One sample of two modalities or more."""

    id: str
    group: str
    """Empty where the table has none."""
    label: str
    """Empty where the table has none."""
    together: Shown
    modalities: dict[str, Shown | None]
    """None where it is missing."""
    consistency: float
    known: bool
    pair: str
    """The two that agree least."""


@dataclass(frozen=True)
class Conflicts:
    """What a page shows."""

    classes: Sequence[str]
    samples: Sequence[Sample]
    """The least consistent first."""
    n_total: int
    n_assessed: int
    """Samples with two modalities or more, the only ones that can disagree."""
    mean_consistency: float | None


def find_conflicts(model: Model, bundle: Bundle, most: int) -> Conflicts:
    """The `most` samples of lowest consistency. Reads no label but to show it."""
    by = bundle.group if model.config.standardize_by is not None else None
    report, pseudo = model.assess(bundle.x, by=by), model.pseudo_labels(bundle.x, by=by)
    value = report["consistency"]
    assessed = np.flatnonzero(~np.isnan(value))
    order = assessed[np.argsort(value[assessed], kind="stable")][:most]
    is_number, is_measured = model.task == "regression", model.config.typicality != "none"
    classes = [f"{name:g}" if is_number else str(name) for name in model.classes_]
    proba = None if is_number else np.stack([report[f"proba_{name}"] for name in model.classes_], axis=1)

    def told(values: NDArray[Any], row: int) -> str:
        return f"{values[row]:+.1f}" if is_number else str(values[row])

    samples = []
    for row in order:
        shown: dict[str, Shown | None] = {}
        for m, q in pseudo.items():
            if not report[f"{m}_present"][row]:
                shown[m] = None
                continue
            typicality = float(report[f"{m}_typicality"][row]) if is_measured else None
            shown[m] = Shown(told(report[f"{m}_pseudo"], row), q[row].tolist(), typicality)
        samples.append(
            Sample(
                str(bundle.id[row]),
                "" if bundle.group is None else str(bundle.group[row]),
                "" if bundle.label is None else str(bundle.label[row]),
                Shown(told(report["pred"], row), [] if proba is None else proba[row].tolist()),
                shown,
                float(value[row]),
                bool(report["consistency_known"][row]),
                str(report["least_agreeing_pair"][row]),
            )
        )
    mean = float(value[assessed].mean()) if len(assessed) else None
    return Conflicts(classes, samples, len(value), len(assessed), mean)
