"""`TicalClassifier`, in the manner of scikit-learn, on arrays per modality."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin

from beholder.errors import UserError
from beholder.tical.config import TicalConfig
from beholder.tical.fit import Fit, Material, train
from beholder.tical.inputs import Array, Scaler, check_features, check_labels, fit_scaler, missing
from beholder.tical.state import Assessment, assess, forward

Features = Mapping[str, ArrayLike | None]


class TicalClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Emotion from several modalities that may disagree.

    `settings` are fields of `TicalConfig` or one of its `VARIANTS`. Features are a dict of (n, d) arrays by modality;
    a row of NaN is a missing modality, and so is None at predict.

    After `fit`: `classes_` (K,), `modalities_` with the width of each, `fit_` with the network and its reference.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None, seed: int = 0) -> None:
        self.settings = settings
        self.seed = seed

    @property
    def config(self) -> TicalConfig:
        """The settings, checked. Raises UserError for an unknown or wrong one."""
        try:
            return TicalConfig(**{**(self.settings or {}), "seed": self.seed})
        except ValidationError as error:
            first = error.errors()[0]
            raise UserError(
                f"setting {'.'.join(map(str, first['loc']))}: {first['msg']}, got {first['input']!r}"
            ) from error

    def fit(
        self,
        X: Features,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        classes: ArrayLike | None = None,
        unimodal_y: Mapping[str, ArrayLike] | None = None,
    ) -> Self:
        """Learn from features and labels.

        `y` is (n,) labels or (n, K) soft ones, such as votes, whose columns `classes` names. Samples of one of
        `groups` (n,), such as a speaker, stay on one side wherever something is held out. `unimodal_y` holds soft
        labels (n, K) per modality, rows of NaN where unknown, for `unimodal_targets="given"`.
        """
        config = self.config
        features = check_features(X)
        n = len(next(iter(features.values())))
        soft, names = check_labels(y, n, classes)
        group = np.arange(n) if groups is None else np.asarray(groups)
        if len(group) != n:
            raise UserError(f"{len(group)} groups for {n} samples; every sample needs one")
        if len(np.unique(group)) <= config.inner_folds:
            raise UserError(f"{len(np.unique(group))} groups; more than inner_folds = {config.inner_folds} are needed")
        self.scaler_: Scaler = fit_scaler(features)
        given = _given(unimodal_y, features, soft.shape) if config.unimodal_targets == "given" else None
        self.fit_: Fit = train(Material(self.scaler_(features), soft, given), group, config)
        self.classes_ = names
        self.modalities_ = {m: values.shape[1] for m, values in features.items()}
        return self

    def predict(self, X: Features) -> NDArray[np.generic]:
        """The most probable class of each sample, (n,). Raises UserError for a sample without any modality."""
        proba = self.predict_proba(X)
        if (empty := missing(proba)).any():
            raise UserError(f"row {int(empty.argmax())} has no modality; assess and predict_proba keep such rows")
        out: NDArray[np.generic] = self.classes_[proba.argmax(axis=1)]
        return out

    def predict_proba(self, X: Features) -> Array:
        """(n, K) in the order of `classes_`; NaN for a sample without any modality."""
        x, found = self._assess(X)
        return self._proba(x, found)

    def assess(self, X: Features) -> dict[str, NDArray[Any]]:
        """Columns of a report, one row per sample.

        `status` (`ok`, `no_modality`), `pred`, `confidence`, `proba_<class>`, `consistency`, `consistency_known`,
        `prior_share`, `least_agreeing_pair`; per modality `<m>_present`, `<m>_pseudo`, `<m>_pseudo_confidence`,
        `<m>_typicality`; per pair `<m>__<n>_agreement` and `<m>__<n>_gate`. Where nothing is known: NaN, or an empty
        text.
        """
        x, found = self._assess(X)
        proba = self._proba(x, found)
        any_present = ~missing(proba)
        columns: dict[str, NDArray[Any]] = {
            "status": np.where(any_present, "ok", "no_modality"),
            "pred": _named(self.classes_, proba),
            "confidence": proba.max(axis=1),
            **{f"proba_{name}": proba[:, k] for k, name in enumerate(self.classes_)},
            "consistency": found.consistency.value,
            "consistency_known": found.consistency.known,
            "prior_share": found.consistency.prior_share,
            "least_agreeing_pair": _least_agreeing(found),
        }
        for m, q in found.pseudo.items():
            columns[f"{m}_present"] = ~missing(q)
            columns[f"{m}_pseudo"] = _named(self.classes_, q)
            columns[f"{m}_pseudo_confidence"] = q.max(axis=1)
            columns[f"{m}_typicality"] = found.typicality[m]
        for (m, n), a in found.consistency.agreement.items():
            columns[f"{m}__{n}_agreement"] = a
            columns[f"{m}__{n}_gate"] = found.consistency.gate[m, n]
        return columns

    def pseudo_labels(self, X: Features) -> dict[str, Array]:
        """What each modality shows by itself: per modality (n, K), NaN where it is missing."""
        return self._assess(X)[1].pseudo

    def head_probabilities(self, X: Features) -> dict[str, Array]:
        """What the unimodal heads of the network say: per modality (n, K), NaN where it is missing."""
        x, found = self._assess(X)
        logits = forward(self.fit_.network, x, found, self.fit_.reference.prior).unimodal
        return {
            m: np.where(missing(x[m])[:, None], np.nan, torch.softmax(one, dim=1).double().numpy())
            for m, one in zip(x, logits, strict=True)
        }

    def _assess(self, X: Features) -> tuple[dict[str, Array], Assessment]:
        x = self.scaler_(check_features(X, self.modalities_))
        return x, assess(self.fit_.network, self.fit_.reference, x)

    def _proba(self, x: Mapping[str, Array], found: Assessment) -> Array:
        logits = forward(self.fit_.network, x, found, self.fit_.reference.prior).fused
        none = np.asarray(np.stack([missing(values) for values in x.values()]).all(axis=0))
        return np.where(none[:, None], np.nan, torch.softmax(logits, dim=1).double().numpy())


def _given(
    unimodal_y: Mapping[str, ArrayLike] | None, x: Mapping[str, Array], shape: tuple[int, ...]
) -> dict[str, Array]:
    labels = {m: np.asarray(values, np.float64) for m, values in (unimodal_y or {}).items()}
    for m in x:
        if m not in labels or labels[m].shape != shape:
            got = f"shape {labels[m].shape}" if m in labels else "nothing"
            raise UserError(f"unimodal_targets = 'given' needs unimodal_y[{m!r}] of shape {shape}; it got {got}")
    return labels


def _named(classes: NDArray[np.generic], proba: Array) -> NDArray[Any]:
    """The class of each row as text, empty where the row is NaN."""
    known = ~missing(proba)
    out = np.full(len(proba), "", dtype=object)
    out[known] = [str(name) for name in classes[proba[known].argmax(axis=1)]]
    return out


def _least_agreeing(found: Assessment) -> NDArray[Any]:
    agreement = found.consistency.agreement
    out = np.full(len(found.consistency.value), "", dtype=object)
    if agreement:
        names = np.array([f"{m}, {n}" for m, n in combinations(found.pseudo, 2)], dtype=object)
        stacked = np.stack(list(agreement.values()))
        known = ~np.isnan(stacked).all(axis=0)
        out[known] = names[np.nan_to_num(stacked[:, known], nan=np.inf).argmin(axis=0)]
    return out
