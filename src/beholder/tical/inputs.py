"""What a person hands in, checked once: features per modality, labels, groups.

A modality is vectors (n, d), or sequences (n, t, d) whose steps past the end of a sample are NaN. So what is missing,
and what is padding, travels with the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beholder.errors import UserError

Array = NDArray[np.float64]
Features = Mapping[str, ArrayLike | None]
Lengths = Mapping[str, ArrayLike]
Groups = ArrayLike | Mapping[str, ArrayLike | None] | None

_CLIP = 5.0


@dataclass(frozen=True)
class Kind:
    """What one sample of a modality is."""

    width: int
    """Features, of each step where there are steps."""
    is_sequence: bool = False

    def __str__(self) -> str:
        return f"(samples, {'steps, ' if self.is_sequence else ''}{self.width})"


def kind_of(values: Array) -> Kind:
    """Of features (n, d) or (n, t, d)."""
    return Kind(values.shape[-1], values.ndim == 3)


def missing(x: Array) -> NDArray[np.bool_]:
    """Which rows of (n, d) are NaN, or of (n, t, d) in all steps; (n,)."""
    gaps = np.asarray(np.isnan(x).any(axis=-1))
    return np.asarray(gaps.all(axis=1)) if x.ndim == 3 else gaps


def check_features(
    x: Features, kinds: Mapping[str, Kind] | None = None, lengths: Lengths | None = None
) -> dict[str, Array]:
    """Features per modality, (n, d) float64 or (n, t, d) float32; rows of NaN are missing, and None is all rows of it.

    Sequences may also be a list of (t_i, d) arrays, None where missing. `lengths` (n,) per modality say how many steps
    of a sample count; 0 is missing. `kinds` are those of the fit. Raises UserError, which names the modality, for
    another shape, an unequal number of rows, an infinite value, or a row or step that is NaN in some features only;
    and for a modality that the fit knew not.
    """
    if kinds is not None and (unknown := sorted(set(x) - set(kinds))):
        raise UserError(f"modality {unknown[0]!r} was not there in fit; it knew {', '.join(kinds)}")
    given = {m: _as_numbers(m, values) for m, values in x.items() if values is not None}
    if not given:
        raise UserError("no modality has features; give at least one array of (samples, features)")
    for m, values in given.items():
        if values.ndim not in (2, 3) or 0 in values.shape:
            raise UserError(
                f"modality {m!r} has shape {values.shape}; it must be (samples, features) or (samples, steps, features)"
            )
        if kinds is not None and values.shape[-1] != kinds[m].width:
            raise UserError(f"modality {m!r} has {values.shape[-1]} features; in fit it had {kinds[m].width}")
        if kinds is not None and kind_of(values) != kinds[m]:
            raise UserError(f"modality {m!r} has shape {values.shape}; in fit it was {kinds[m]}")
        if bad := bad_rows(m, values):
            raise UserError(next(iter(bad.values())))
    for m, ends in (lengths or {}).items():
        if m not in given or given[m].ndim != 3:
            raise UserError(f"lengths of {m!r}, which is no modality of sequences (samples, steps, features)")
        given[m] = cut(given[m], ends, m)
    counts = {m: len(values) for m, values in given.items()}
    if len(set(counts.values())) > 1:
        raise UserError(f"modalities have unequal rows: {', '.join(f'{m} {n}' for m, n in counts.items())}")
    n = next(iter(counts.values()))
    if kinds is None:
        if absent := [m for m, values in x.items() if values is None]:
            raise UserError(f"modality {absent[0]!r} is None in fit, so its width is unknown; give rows of NaN")
        return given
    return {m: given[m] if m in given else no_samples(n, kind) for m, kind in kinds.items()}


def cut(values: NDArray[Any], lengths: ArrayLike, modality: str) -> Array:
    """Sequences (n, t, d) with NaN from `lengths` (n,) on. Raises UserError for lengths that can't be."""
    ends = np.asarray(lengths)
    n, steps = values.shape[:2]
    if ends.shape != (n,) or ends.dtype.kind not in "iu" or ends.min() < 0 or ends.max() > steps:
        spread = f" from {ends.min()} to {ends.max()}" if ends.size and ends.dtype.kind in "iuf" else ""
        raise UserError(
            f"lengths of {modality!r} are {ends.dtype} of shape {ends.shape}{spread}; "
            f"they must be {n} whole numbers from 0 to {steps}"
        )
    counts = np.arange(steps)[None, :, None] < ends[:, None, None]
    return np.where(counts, values, values.dtype.type(np.nan))


def pad(rows: Sequence[ArrayLike | None], modality: str) -> Array:
    """Sequences of unequal length, (t_i, d) each or None, as one array (n, t, d) float32 with NaN past their ends.

    Raises UserError for a row of another shape or width than the first.
    """
    arrays = [None if row is None else np.asarray(row, np.float32) for row in rows]
    width = next((row.shape[-1] for row in arrays if row is not None and row.ndim == 2 and row.shape[-1]), 0)
    for i, row in enumerate(arrays):
        if row is not None and (row.ndim != 2 or (len(row) and row.shape[1] != width)):
            raise UserError(f"modality {modality!r} has shape {row.shape} in row {i}; it should be (steps, {width})")
    steps = max((len(row) for row in arrays if row is not None), default=0)
    out = np.full((len(arrays), steps, width), np.nan, np.float32)
    for i, row in enumerate(arrays):
        if row is not None and len(row):
            out[i, : len(row)] = row
    return out  # type: ignore[return-value]


def pooled(x: Mapping[str, Array]) -> dict[str, Array]:
    """Vectors as they are, sequences as the mean of their steps: (n, d) per modality, NaN where it is missing."""
    return {m: _mean_step(values) if values.ndim == 3 else values for m, values in x.items()}


def check_labels(y: ArrayLike, n: int, classes: ArrayLike | None) -> tuple[Array, NDArray[np.generic]]:
    """Soft labels (n, K) that sum to 1, and the classes in the order of columns.

    `y` is (n,) labels, or (n, K) non-negative weights such as votes, whose columns `classes` names.
    """
    labels = np.asarray(y)
    if len(labels) != n:
        raise UserError(f"{len(labels)} labels for {n} samples; every sample needs one")
    if labels.ndim == 1:
        check_named(labels)
        names, index = np.unique(labels, return_inverse=True)
        if len(names) < 2:
            raise UserError(f"every label is {names[0].item()!r}; at least two classes are needed")
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


def check_named(labels: NDArray[Any]) -> None:
    """Raises UserError for a label (n,) that is NaN, None or an empty text: it would become a class of its own."""
    if labels.dtype.kind == "f":
        nothing = np.isnan(labels)
    else:
        nothing = np.array([one is None or one == "" or one != one for one in labels.tolist()], dtype=bool)
    if nothing.any():
        row = int(nothing.argmax())
        raise UserError(f"the label of row {row} is {labels[row : row + 1].tolist()[0]!r}; every sample needs one")


def check_held_labels(y: ArrayLike, n: int, classes: NDArray[np.generic]) -> Array:
    """Soft labels (n, K) of samples that choose the epoch, in the columns of `classes`, which training found."""
    labels = np.asarray(y)
    if labels.ndim == 1 and len(labels) == n:
        if len(unknown := np.setdiff1d(labels, classes)):
            raise UserError(f"no training sample has the label {unknown[0].item()!r} of validation")
        return np.eye(len(classes))[np.searchsorted(classes, labels)]
    return check_labels(y, n, classes)[0]


def check_groups(groups: Groups, modalities: Sequence[str], n: int, folds: int) -> dict[str, NDArray[np.generic]]:
    """Per modality the group (n,) of each sample; each sample is its own where there are none.

    Raises UserError for another number of them, a modality that a dict leaves out, and no more groups than `folds`.
    """
    given = groups if isinstance(groups, Mapping) else dict.fromkeys(modalities, groups)
    if set(given) != set(modalities):
        raise UserError(f"groups are those of {', '.join(given)}; they must be of {', '.join(modalities)}")
    out = {m: np.arange(n) if (own := given[m]) is None else np.asarray(own) for m in modalities}
    for m, group in out.items():
        if group.shape != (n,):
            raise UserError(f"{len(group)} groups of {m!r} for {n} samples; every sample needs one")
        if len(names := np.unique(group)) <= folds:
            raise UserError(f"{len(names)} groups of {m!r}; more than inner_folds = {folds} are needed")
    return out


def check_numbers(y: ArrayLike, n: int) -> Array:
    """Labels (n,) float64. Raises UserError for another shape, and for one that is not finite."""
    try:
        numbers = np.asarray(y, np.float64)
    except ValueError:
        raise UserError(
            f"labels are not numbers: {np.asarray(y).reshape(-1)[0].item()!r}; is it a task of classes?"
        ) from None
    if numbers.shape != (n,):
        raise UserError(f"labels have shape {numbers.shape} for {n} samples; every sample needs one number")
    if not (finite := np.isfinite(numbers)).all():
        raise UserError(f"the label of row {int(np.argmin(finite))} is {numbers[~finite][0]}")
    return numbers


def standardize_within(x: Mapping[str, Array], by: ArrayLike, name: str) -> dict[str, Array]:
    """Features with mean 0 and standard deviation 1 in each group of `by` (n,), such as a speaker, called `name`.

    Reads no label. A feature that never varies in a group becomes 0. Raises UserError where a modality is there in only
    one sample of a group: nothing would be left of it.
    """
    group = np.asarray(by)
    out = {m: values.copy() for m, values in x.items()}
    for m, values in out.items():
        if group.shape != (len(values),):
            raise UserError(f"by has shape {group.shape} for {len(values)} samples; every sample needs its {name}")
        here = ~missing(values)
        for one in np.unique(group):
            rows = np.flatnonzero((group == one) & here)
            if len(rows) == 1:
                raise UserError(f"{name} {one!s} has one sample with {m!r}; standardize_by needs two or more")
            if len(rows):
                scaler = fit_scaler({m: values[rows]})
                values[rows] = ((values[rows] - scaler.mean[m]) / scaler.sd[m]).astype(values.dtype)
    return out


@dataclass(frozen=True)
class Scaler:
    """Mean and standard deviation of the training part, per modality (d,), over all steps of sequences."""

    mean: dict[str, Array]
    sd: dict[str, Array]

    def __call__(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """Standardised and clipped to 5 standard deviations; NaN stays."""
        return {m: self._scale(m, x[m]) for m in self.mean}

    def _scale(self, m: str, values: Array) -> Array:
        mean, sd = (part[m].astype(values.dtype) for part in (self.mean, self.sd))
        return np.clip((values - mean) / sd, -_CLIP, _CLIP)


def fit_scaler(x: Mapping[str, Array]) -> Scaler:
    """A feature that never varies becomes 0. Raises UserError for a modality that is missing in all rows."""
    steps = {m: values.reshape(-1, values.shape[-1]) for m, values in x.items()}
    known = {m: values[~np.isnan(values).any(axis=1)] for m, values in steps.items()}
    if empty := [m for m, values in known.items() if not len(values)]:
        raise UserError(f"modality {empty[0]!r} is missing in all training samples; leave it out of fit")
    mean = {m: values.mean(axis=0, dtype=np.float64) for m, values in known.items()}
    sd = {m: values.std(axis=0, dtype=np.float64) for m, values in known.items()}
    # Beside the mean, because features may be of any unit, and what never varies still has rounding errors.
    return Scaler(mean, {m: np.where(s > 1e-8 * np.abs(mean[m]), s, 1.0) for m, s in sd.items()})


def _as_numbers(m: str, values: ArrayLike) -> Array:
    """Sequences in float32: the largest public sets have 4 GB of them."""
    if isinstance(values, list | tuple) and any(np.ndim(row) == 2 for row in values if row is not None):
        return pad(values, m)
    array = np.asarray(values)
    return array.astype(np.float32 if array.ndim == 3 else np.float64, copy=False)


def bad_rows(m: str, values: Array) -> dict[int, str]:
    """Rows that are infinite, or NaN in some features of a row or step only, and what is wrong with each."""
    infinite = np.isinf(values).reshape(len(values), -1).any(axis=1)
    out = {
        int(row): f"modality {m!r} is infinite in row {row}; use NaN in the whole row where it is missing"
        for row in np.flatnonzero(infinite)
    }
    gaps = np.isnan(values)
    part = gaps.any(axis=-1) & ~gaps.all(axis=-1)
    for row, *step in np.argwhere(part).tolist():
        which = f"row {row}, step {step[0]}" if step else f"row {row}"
        whole = "step" if step else "row"
        out.setdefault(row, f"modality {m!r} is NaN in a part of {which}; fill it, or make the whole {whole} NaN")
    return out


def no_samples(n: int, kind: Kind) -> Array:
    """Of a modality that is missing in all `n` samples."""
    if kind.is_sequence:
        return np.full((n, 1, kind.width), np.nan, np.float32)  # type: ignore[return-value]
    return np.full((n, kind.width), np.nan)


def _mean_step(values: Array) -> Array:
    counts = (~np.isnan(values[:, :, 0])).sum(axis=1)
    with np.errstate(invalid="ignore"):
        out: Array = np.nansum(values, axis=1, dtype=np.float64) / counts[:, None]
    return out
