"""What classifier and regressor share: settings, the one way of training, and what is said beside the prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from sklearn.base import BaseEstimator

from beholder.errors import UserError
from beholder.tical.config import Task, TicalConfig
from beholder.tical.fitted import Fit, Material
from beholder.tical.inputs import (
    Array,
    Features,
    Groups,
    Kind,
    Lengths,
    Scaler,
    check_features,
    check_groups,
    fit_scaler,
    kind_of,
    missing,
    standardize_within,
)
from beholder.tical.state import Assessment, assess, forward, nearest_anchors

Held = tuple[Features, ArrayLike] | tuple[Features, ArrayLike, ArrayLike | None]
"""Features and labels that choose the epoch, and the grouping that `standardize_by` names."""


class TicalEstimator(BaseEstimator):  # type: ignore[misc]
    """Not used by itself: `TicalClassifier` and `TicalRegressor` are."""

    task: ClassVar[Task]

    scaler_: Scaler
    fit_: Fit
    classes_: NDArray[Any]
    modalities_: dict[str, Kind]
    anchor_ids_: dict[str, NDArray[Any]]
    """Per modality that has anchors the id of each, as text."""

    def __init__(self, settings: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        self.settings = settings
        self.seed = seed

    @property
    def config(self) -> TicalConfig:
        """The settings, checked. Raises UserError for an unknown or wrong one."""
        settings = dict(self.settings or {})
        if (task := settings.pop("task", self.task)) != self.task:
            raise UserError(f"setting task: a {type(self).__name__} is for {self.task}, got {task!r}")
        try:
            return TicalConfig(**{**settings, "seed": self.seed, "task": self.task})
        except ValidationError as error:
            first = error.errors()[0]
            if not first["loc"]:  # settings that do not go together, whose message names them
                raise UserError(f"settings: {first['msg'].removeprefix('Value error, ')}") from error
            raise UserError(
                f"setting {'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}"
            ) from error

    def pseudo_labels(
        self, X: Features, *, lengths: Lengths | None = None, by: ArrayLike | None = None
    ) -> dict[str, Array]:
        """What each modality shows by itself: per modality (n, K), NaN where it is missing."""
        return self._assess(X, lengths, by)[1].pseudo

    def head_probabilities(
        self, X: Features, *, lengths: Lengths | None = None, by: ArrayLike | None = None
    ) -> dict[str, Array]:
        """What the unimodal heads of the network say: per modality (n, K), NaN where it is missing."""
        x, found = self._assess(X, lengths, by)
        logits = forward(self.fit_.network, x, found, self.fit_.reference.prior).unimodal
        return {
            m: np.where(missing(x[m])[:, None], np.nan, torch.softmax(one, dim=1).double().numpy())
            for m, one in zip(x, logits, strict=True)
        }

    def save(self, folder: str | Path) -> None:
        """Write the fitted model; `beholder.tical.load` reads it. Raises UserError where `folder` holds something."""
        from beholder.tical.folder import save  # which knows the models, as they don't know it

        save(self, Path(folder))  # type: ignore[arg-type]

    def _train(self, learn: Material, groups: Groups, validation: Material | None, ids: ArrayLike | None) -> None:
        from beholder.tical.fit import train  # seconds, which a model that only predicts need not wait for

        config = self.config
        n = len(learn.y)
        names = np.asarray(np.arange(n) if ids is None else ids).astype(str)
        if names.shape != (n,):
            raise UserError(f"ids have shape {names.shape} for {n} samples; every sample needs one")
        group = check_groups(groups, list(learn.x), n, config.inner_folds)
        self.modalities_ = {m: kind_of(values) for m, values in learn.x.items()}
        self.scaler_ = fit_scaler(learn.x)
        held = None if validation is None else replace(validation, x=self.scaler_(validation.x))
        self.fit_ = train(replace(learn, x=self.scaler_(learn.x)), group, config, held)
        self.anchor_ids_ = {m: names[space.rows] for m, space in self.fit_.reference.anchors.items()}

    def _features(
        self, X: Features, lengths: Lengths | None, by: ArrayLike | None = None, kinds: Mapping[str, Kind] | None = None
    ) -> dict[str, Array]:
        """Features, checked, and standardised within the grouping where the settings name one."""
        x, name = check_features(X, kinds, lengths), self.config.standardize_by
        if name is None and by is not None:
            raise UserError("by is given, but the setting standardize_by names no grouping")
        if name is None:
            return x
        if by is None:
            raise UserError(f"setting standardize_by = {name!r} needs by, the {name} of each sample")
        return standardize_within(x, by, name)

    def _named_grouping(self, n: int) -> dict[str, NDArray[Any]]:
        """A column that says what else a sample's answer depends on; none where that is nothing."""
        name = self.config.standardize_by
        return {} if name is None else {"standardized_by": np.full(n, name, dtype=object)}

    def _assess(
        self, X: Features, lengths: Lengths | None, by: ArrayLike | None
    ) -> tuple[dict[str, Array], Assessment]:
        x = self.scaler_(self._features(X, lengths, by, self.modalities_))
        return x, assess(self.fit_.network, self.fit_.reference, x)

    def _fused(self, x: Mapping[str, Array], found: Assessment) -> torch.Tensor:
        """What the fused head says, NaN for a sample without any modality."""
        fused = forward(self.fit_.network, x, found, self.fit_.reference.prior).fused
        none = np.stack([missing(values) for values in x.values()]).all(axis=0)
        return fused.masked_fill(torch.from_numpy(none)[:, None], torch.nan)

    def _conflict(
        self, x: Mapping[str, Array], found: Assessment, named: Callable[[Array], NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """The columns of a report that are about modalities; `named` says a pseudo label (n, K)."""
        nearest = nearest_anchors(self.fit_.network, self.fit_.reference, x)
        columns: dict[str, NDArray[Any]] = {
            "consistency": found.consistency.value,
            "consistency_known": found.consistency.known,
            "prior_share": found.consistency.prior_share,
            "least_agreeing_pair": _least_agreeing(found),
        }
        for m, q in found.pseudo.items():
            columns[f"{m}_present"] = ~missing(q)
            columns[f"{m}_pseudo"] = named(q)
            columns[f"{m}_pseudo_confidence"] = q.max(axis=1)
            columns[f"{m}_typicality"] = found.typicality[m]
            if m in self.anchor_ids_:
                ids = [", ".join(row) for row in self.anchor_ids_[m][nearest[m]]]
                columns[f"{m}_anchor_ids"] = np.where(missing(q), "", np.array(ids, dtype=object))
        for (m, n), a in found.consistency.agreement.items():
            columns[f"{m}__{n}_agreement"] = a
            columns[f"{m}__{n}_gate"] = found.consistency.gate[m, n]
        return columns


def given_labels(
    unimodal_y: Mapping[str, ArrayLike] | None, x: Mapping[str, Array], shape: tuple[int, ...]
) -> dict[str, Array]:
    """The caller's unimodal labels, one array of `shape` per modality. Raises UserError where one is missing."""
    labels = {m: np.asarray(values, np.float64) for m, values in (unimodal_y or {}).items()}
    for m in x:
        if m not in labels or labels[m].shape != shape:
            got = f"shape {labels[m].shape}" if m in labels else "nothing"
            raise UserError(f"unimodal_targets = 'given' needs unimodal_y[{m!r}] of shape {shape}; it got {got}")
    return labels


def status_of(fused: Array) -> NDArray[Any]:
    """`ok`, or `no_modality` where (n, K) is NaN."""
    return np.where(missing(fused), "no_modality", "ok")


def check_predicted(fused: Array) -> None:
    """Raises UserError for a row of NaN: nothing was there to predict from."""
    if (empty := missing(fused)).any():
        raise UserError(f"row {int(empty.argmax())} has no modality; assess keeps such rows")


def _least_agreeing(found: Assessment) -> NDArray[Any]:
    agreement = found.consistency.agreement
    out = np.full(len(found.consistency.value), "", dtype=object)
    if agreement:
        names = np.array([f"{m}, {n}" for m, n in combinations(found.pseudo, 2)], dtype=object)
        stacked = np.stack(list(agreement.values()))
        known = ~np.isnan(stacked).all(axis=0)
        out[known] = names[np.nan_to_num(stacked[:, known], nan=np.inf).argmin(axis=0)]
    return out
