"""What a person hands in, checked once: features per modality, labels, groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beholder.errors import UserError

Array = NDArray[np.float64]

_CLIP = 5.0


def missing(x: Array) -> NDArray[np.bool_]:
    """Which rows of (n, d) are NaN, (n,)."""
    return np.asarray(np.isnan(x).any(axis=1))


def check_features(x: Mapping[str, ArrayLike | None], widths: Mapping[str, int] | None = None) -> dict[str, Array]:
    """Features per modality as (n, d) float64; a row of NaN is a missing modality, and None all rows of it.

    `widths` are those of the fit. Raises UserError, which names the modality, for another shape, an unequal number of
    rows, an infinite value, or a row that is NaN in some features only; and for a modality that the fit knew not.
    """
    if widths is not None and (unknown := sorted(set(x) - set(widths))):
        raise UserError(f"modality {unknown[0]!r} was not there in fit; it knew {', '.join(widths)}")
    given = {m: np.asarray(values, np.float64) for m, values in x.items() if values is not None}
    if not given:
        raise UserError("no modality has features; give at least one array of (samples, features)")
    for m, values in given.items():
        if values.ndim != 2 or 0 in values.shape:
            raise UserError(f"modality {m!r} has shape {values.shape}; it must be (samples, features)")
        if widths is not None and values.shape[1] != widths[m]:
            raise UserError(f"modality {m!r} has {values.shape[1]} features; in fit it had {widths[m]}")
        if np.isinf(values).any():
            row = int(np.flatnonzero(np.isinf(values).any(axis=1))[0])
            raise UserError(f"modality {m!r} is infinite in row {row}; use NaN in the whole row where it is missing")
        part = np.isnan(values).any(axis=1) & ~np.isnan(values).all(axis=1)
        if part.any():
            row = int(np.flatnonzero(part)[0])
            raise UserError(f"modality {m!r} is NaN in a part of row {row}; fill it, or make the whole row NaN")
    lengths = {m: len(values) for m, values in given.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"modalities have unequal rows: {', '.join(f'{m} {n}' for m, n in lengths.items())}")
    n = next(iter(lengths.values()))
    if widths is None:
        if absent := [m for m, values in x.items() if values is None]:
            raise UserError(f"modality {absent[0]!r} is None in fit, so its width is unknown; give rows of NaN")
        return given
    return {m: given.get(m, np.full((n, width), np.nan)) for m, width in widths.items()}


def check_labels(y: ArrayLike, n: int, classes: ArrayLike | None) -> tuple[Array, NDArray[np.generic]]:
    """Soft labels (n, K) that sum to 1, and the classes in the order of columns.

    `y` is (n,) labels, or (n, K) non-negative weights such as votes, whose columns `classes` names.
    """
    labels = np.asarray(y)
    if len(labels) != n:
        raise UserError(f"{len(labels)} labels for {n} samples; every sample needs one")
    if labels.ndim == 1:
        names, index = np.unique(labels, return_inverse=True)
        if len(names) < 2:
            raise UserError(f"every label is {names[0]!r}; at least two classes are needed")
        return np.eye(len(names))[index], names
    weights = np.asarray(labels, np.float64)
    if weights.ndim != 2 or weights.shape[1] < 2 or not np.isfinite(weights).all() or (weights < 0).any():
        raise UserError(f"soft labels have shape {weights.shape}; they must be (samples, classes), finite, 0 or more")
    total = weights.sum(axis=1, keepdims=True)
    if (total == 0).any():
        raise UserError(f"soft labels of row {int(np.flatnonzero(total[:, 0] == 0)[0])} are all 0")
    names = np.arange(weights.shape[1]) if classes is None else np.asarray(classes)
    if len(names) != weights.shape[1]:
        raise UserError(f"{len(names)} class names for {weights.shape[1]} columns of soft labels")
    return weights / total, names


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of the training part, per modality (d,)."""

    mean: dict[str, Array]
    sd: dict[str, Array]

    def __call__(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """Standardised and clipped to 5 standard deviations; NaN stays."""
        return {m: np.clip((x[m] - self.mean[m]) / self.sd[m], -_CLIP, _CLIP) for m in self.mean}


def fit_scaler(x: Mapping[str, Array]) -> Scaler:
    """A feature that never varies becomes 0. Raises UserError for a modality that is missing in all rows."""
    known = {m: values[~np.isnan(values).any(axis=1)] for m, values in x.items()}
    if empty := [m for m, values in known.items() if not len(values)]:
        raise UserError(f"modality {empty[0]!r} is missing in all training samples; leave it out of fit")
    sd = {m: values.std(axis=0) for m, values in known.items()}
    return Scaler({m: v.mean(axis=0) for m, v in known.items()}, {m: np.where(s > 1e-8, s, 1.0) for m, s in sd.items()})
