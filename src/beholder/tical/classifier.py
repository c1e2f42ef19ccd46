"""`TicalClassifier`, in the manner of scikit-learn, on arrays per modality."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from beholder.tical.config import Task
from beholder.tical.estimator import Held, TicalEstimator, check_predicted, given_labels, status_of
from beholder.tical.fitted import Material
from beholder.tical.inputs import (
    Array,
    Features,
    Groups,
    Lengths,
    check_held_labels,
    check_labels,
    missing,
)


class TicalClassifier(ClassifierMixin, TicalEstimator):  # type: ignore[misc]
    """Emotion from several modalities that may disagree.

    `settings` are fields of `TicalConfig` or one of its `VARIANTS`. Features are a dict by modality of vectors (n, d)
    or sequences (n, t, d), the latter with `lengths` (n,) by modality, or NaN in the steps after the end. A row of NaN
    is a missing modality, and so is length 0, and None at predict.

    After `fit`: `classes_` (K,), `modalities_` with the kind of each, `fit_` with the network and its reference.
    """

    task: ClassVar[Task] = "classification"

    def fit(
        self,
        X: Features,
        y: ArrayLike,
        *,
        groups: Groups = None,
        classes: ArrayLike | None = None,
        unimodal_y: Mapping[str, ArrayLike] | None = None,
        lengths: Lengths | None = None,
        ids: ArrayLike | None = None,
        by: ArrayLike | None = None,
        validation: Held | None = None,
    ) -> Self:
        """Learn from features and labels.

        `y` is (n,) labels or (n, K) soft ones, such as votes, whose columns `classes` names. Samples of one of
        `groups` (n,), such as a speaker, stay on one side wherever something is held out. Where items of one modality
        occur in several samples, `groups` may be a dict of them by modality; the first one's then hold out the samples
        that choose the epoch. `unimodal_y` holds soft
        labels (n, K) per modality, rows of NaN where unknown, for `unimodal_targets="given"`. `ids` (n,) name samples
        where `assess` names anchors; their rows do otherwise. `by` (n,) is the grouping that `standardize_by` names; it
        is then needed here and in every later call, and third in `validation`. `validation` are features
        and labels that choose the epoch; without them a part of the groups is held out for it.
        """
        features = self._features(X, lengths, by)
        soft, names = check_labels(y, len(next(iter(features.values()))), classes)
        is_given = self.config.unimodal_targets == "given"
        given = given_labels(unimodal_y, features, soft.shape) if is_given else None
        held = None
        if validation is not None:
            x = self._features(validation[0], None, *validation[2:])
            held = Material(x, check_held_labels(validation[1], len(next(iter(x.values()))), names))
        self._train(Material(features, soft, given), groups, held, ids)
        self.classes_ = names
        return self

    def predict(
        self, X: Features, *, lengths: Lengths | None = None, by: ArrayLike | None = None
    ) -> NDArray[np.generic]:
        """The most probable class of each sample, (n,). Raises UserError for a sample without any modality."""
        proba = self.predict_proba(X, lengths=lengths, by=by)
        check_predicted(proba)
        out: NDArray[np.generic] = self.classes_[proba.argmax(axis=1)]
        return out

    def predict_proba(self, X: Features, *, lengths: Lengths | None = None, by: ArrayLike | None = None) -> Array:
        """(n, K) in the order of `classes_`; NaN for a sample without any modality."""
        x, found = self._assess(X, lengths, by)
        return torch.softmax(self._fused(x, found), dim=1).double().numpy()

    def assess(
        self, X: Features, *, lengths: Lengths | None = None, by: ArrayLike | None = None
    ) -> dict[str, NDArray[Any]]:
        """Columns of a report, one row per sample.

        `status` (`ok`, `no_modality`), `pred`, `confidence`, `proba_<class>`, `standardized_by` where samples of a
        grouping were looked at together, `consistency`, `consistency_known`,
        `prior_share`, `least_agreeing_pair`; per modality `<m>_present`, `<m>_pseudo`, `<m>_pseudo_confidence`,
        `<m>_typicality`, and where there are anchors `<m>_anchor_ids`, the three nearest, nearest first; per pair
        `<m>__<n>_agreement` and `<m>__<n>_gate`. Where nothing is known: NaN, or an empty text.
        """
        x, found = self._assess(X, lengths, by)
        proba = torch.softmax(self._fused(x, found), dim=1).double().numpy()
        named = partial(_named, self.classes_)
        return {
            "status": status_of(proba),
            "pred": named(proba),
            "confidence": proba.max(axis=1),
            **{f"proba_{name}": proba[:, k] for k, name in enumerate(self.classes_)},
            **self._named_grouping(len(proba)),
            **self._conflict(x, found, named),
        }


def _named(classes: NDArray[np.generic], proba: Array) -> NDArray[Any]:
    """The class of each row as text, empty where the row is NaN."""
    known = ~missing(proba)
    out = np.full(len(proba), "", dtype=object)
    out[known] = [str(name) for name in classes[proba[known].argmax(axis=1)]]
    return out
