"""From a table to a fitted model, and from a model and a table to measures: what commands and recipes share."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from beholder.errors import UserError
from beholder.tical.bundle import Bundle
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import Task
from beholder.tical.folder import Model
from beholder.tical.inputs import check_named, missing
from beholder.tical.levels import levels_of
from beholder.tical.metrics import calibration_error, intervals, measure
from beholder.tical.regressor import TicalRegressor
from beholder.tical.sentiment import MEASURES

MIN_GROUPS = 10
"""Fewer have no intervals."""

_SHOWN = 5
"""Unknown labels that are named."""

VALIDATION = ("valid", "val", "validation")
"""Names of the split that chooses the epoch."""


def fit_bundle(bundle: Bundle, settings: Mapping[str, Any], task: Task, seed: int) -> Model:
    """A model of the `train` samples, whose epoch `valid` samples choose; of all samples where there is no split.

    Raises UserError for samples without a label, and for features that could not be read.
    """
    learn, held = bundle, None
    if bundle.split is not None:
        learn = bundle.part("train")
        held = next((bundle.part(name) for name in VALIDATION if name in bundle.split), None)
    for part in (learn, held):
        if part is not None:
            check_sound(part)
    y = labels_of(learn)
    by = _within(settings.get("standardize_by"), learn)
    validation = None if held is None else (held.x, labels_of(held), None if by is None else held.group)
    beside: dict[str, Any] = {"groups": learn.group, "ids": learn.id, "by": by, "validation": validation}
    if task == "regression":
        return TicalRegressor(settings, seed=seed).fit(learn.x, y, **beside)
    return TicalClassifier(settings, seed=seed).fit(learn.x, y, **beside)


def grouping(model: Model, bundle: Bundle) -> NDArray[Any] | None:
    """The groups of a table, where the model standardises features within them. Raises UserError without any."""
    return _within(model.config.standardize_by, bundle)


def _within(name: str | None, bundle: Bundle) -> NDArray[Any] | None:
    if name is not None and bundle.group is None:
        raise UserError(f"the table has no 'group'; features are standardised within each {name}, so it needs one")
    if name is not None and bundle.group is not None and (bundle.group != bundle.group).any():
        row = int(np.argmax(bundle.group != bundle.group))
        raise UserError(f"the group of row {row} is NaN; features are standardised within each {name}")
    return None if name is None else bundle.group


def mean_consistency(model: Model, bundle: Bundle) -> dict[str, float | None]:
    """Mean C by split, of the table that `model` was fitted on; None where no two modalities meet.

    `train` is that of the samples learned from, none of them its own anchor, and the validation split that of those
    that chose the epoch, `valid` where the table has no such split; both as they were at that epoch. A training part
    far below the others says that anchors are overfitted. All other splits are asked here, once.
    """
    out: dict[str, float | None] = {}
    splits = [] if bundle.split is None else sorted(set(bundle.split.tolist()))
    held = next((name for name in VALIDATION if name in splits), VALIDATION[0])
    if (chosen := model.fit_.chosen) is not None:
        out |= {"train": chosen.train_consistency, held: chosen.valid_consistency}
    for split in (one for one in splits if one not in out):
        part = bundle.part(split)
        try:
            value = model.assess(part.x, by=grouping(model, part))["consistency"]
        except UserError:  # it can't be used, which is said to whoever asks about it
            out[split] = None
            continue
        out[split] = None if np.isnan(value).all() else float(np.nanmean(value))
    return out


def measure_model(model: Model, bundle: Bundle, measures: str = "sentiment") -> dict[str, Any]:
    """Measures of labelled samples, with 95 % intervals over groups where there are enough; ready for JSON.

    Of classes `tical.metrics.measure`; of numbers one of `tical.sentiment.MEASURES`. Where the table has what people
    said of single modalities, also `against_people`.
    """
    check_sound(bundle)
    label = labels_of(bundle)
    unknown: list[str] = []
    if model.task == "classification":
        place = class_of(model.classes_, label)
        unknown = sorted(set(label[place < 0].astype(str)))
        if (place < 0).all():
            raise UserError(
                f"no sample has a label that the model knows: {', '.join(unknown[:_SHOWN])}; it knows "
                f"{', '.join(map(str, model.classes_))}"
            )
        label = np.where(place < 0, label.astype(str), model.classes_.astype(str)[place])
    report = model.assess(bundle.x, by=grouping(model, bundle))
    ok = report["status"] == "ok"
    if not ok.any():
        raise UserError("the table has no sample with any modality")
    is_number = isinstance(model, TicalRegressor)
    measured = MEASURES[measures] if is_number else measure
    truth, pred = label[ok], report["pred"][ok]
    if is_number:
        truth = numbers_of(label)[ok]
    else:
        truth, pred = truth.astype(str), pred.astype(str)
    groups = np.flatnonzero(ok) if bundle.group is None else bundle.group[ok]
    values = measured(truth, pred)
    enough = len(np.unique(groups)) >= MIN_GROUPS
    spans = intervals(truth, pred, groups, measured=measured) if enough else {}
    result: dict[str, Any] = {"scored": int(ok.sum()), "total": len(label), "unknown_labels": unknown}
    for name, value in values.items():
        span = spans.get(name)
        result[name] = {"value": _or_none(value), "interval": span and [_or_none(end) for end in span]}
    if not is_number:
        result["ece"] = calibration_error((truth == pred).astype(np.float64), report["confidence"][ok])
    consistency = report["consistency"]
    result["mean_consistency"] = None if np.isnan(consistency).all() else float(np.nanmean(consistency))
    if bundle.unimodal:
        result["against_people"] = against_people(model, bundle, consistency)
    return result


def against_people(model: Model, bundle: Bundle, consistency: NDArray[np.float64]) -> dict[str, Any]:
    """What people said of single modalities, which no training saw, beside what the model says of them.

    Per modality the accuracy of its pseudo labels and of the unimodal head, by class; and the AUROC of 1 - consistency
    for samples where what people said of two modalities lies in different classes, None where all or none do.
    """
    shown = {m: _classes(model, values) for m, values in bundle.unimodal.items()}
    by = grouping(model, bundle)
    pseudo, heads = model.pseudo_labels(bundle.x, by=by), model.head_probabilities(bundle.x, by=by)
    out: dict[str, Any] = {}
    for m, truth in shown.items():
        known = (truth >= 0) & ~missing(pseudo[m])
        told = {"pseudo_label": pseudo[m], "head": heads[m]}
        hits = {name: q[known].argmax(axis=1) == truth[known] for name, q in told.items()}
        out[m] = {
            "n": int(known.sum()),
            **{name: float(hit.mean()) if known.any() else None for name, hit in hits.items()},
        }
    judged = np.stack([truth >= 0 for truth in shown.values()]).all(axis=0) & ~np.isnan(consistency)
    conflict = np.zeros(len(consistency), dtype=bool)
    for first, second in combinations(shown.values(), 2):
        conflict |= first != second
    both = len(np.unique(conflict[judged])) == 2
    auroc = float(roc_auc_score(conflict[judged], 1 - consistency[judged])) if both else None
    out["conflict"] = {"n": int(judged.sum()), "share": _share(conflict[judged]), "auroc": auroc}
    return out


def check_sound(bundle: Bundle) -> None:
    """Raises UserError where features of a sample could not be read."""
    if bundle.problems:
        row, why = next(iter(bundle.problems.items()))
        more = f" (and {len(bundle.problems) - 1} more)" if len(bundle.problems) > 1 else ""
        raise UserError(f"sample {bundle.id[row]}: {why}{more}; predict keeps such rows, fit and evaluate don't")


def labels_of(bundle: Bundle, where: str | Path = "the table") -> NDArray[Any]:
    """(n,). Raises UserError where there are none, and where one is NaN or empty."""
    if bundle.label is None:
        raise UserError(f"{where} has no array 'label'; it needs one label per sample")
    check_named(bundle.label)
    return bundle.label


def numbers_of(label: NDArray[Any]) -> NDArray[np.float64]:
    """Labels as numbers. Raises UserError for text."""
    try:
        numbers: NDArray[np.float64] = label.astype(np.float64)
    except ValueError:
        raise UserError(f"the label {label[0].item()!r} is no number, and the model tells numbers") from None
    if np.isinf(numbers).any():
        raise UserError(f"the label of row {int(np.isinf(numbers).argmax())} is infinite; numbers are allowed")
    return numbers


def class_of(classes: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """(n,): the place of each label among `classes`, -1 for none. Of numbers 1 and 1.0 are the same."""
    if classes.dtype.kind in "iuf":
        try:
            classes, labels = classes.astype(np.float64), labels.astype(np.float64)
        except ValueError:
            return np.full(len(labels), -1)
    else:
        classes, labels = classes.astype(str), labels.astype(str)
    same = labels[:, None] == classes
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def _classes(model: Model, values: NDArray[Any]) -> NDArray[np.int64]:
    """The column of the class of each label, -1 where there is none."""
    if isinstance(model, TicalRegressor):
        soft = levels_of(numbers_of(values), model.config.label_edges)
        return np.where(missing(soft), -1, np.nan_to_num(soft).argmax(axis=1))
    return class_of(model.classes_, values)


def _share(values: NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else float(value)
