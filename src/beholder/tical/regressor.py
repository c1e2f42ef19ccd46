"""`TicalRegressor`: sentiment as a number, from several modalities that may disagree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin

from beholder.errors import UserError
from beholder.tical.config import Task
from beholder.tical.estimator import Held, TicalEstimator, check_predicted, given_labels, status_of
from beholder.tical.fitted import Material
from beholder.tical.inputs import Array, Features, Groups, Lengths, check_numbers
from beholder.tical.levels import level_values, levels_of


class TicalRegressor(RegressorMixin, TicalEstimator):  # type: ignore[misc]
    """As `TicalClassifier`, for labels that are numbers.

    The setting `label_edges` cuts them into classes, which anchors, pseudo labels and unimodal heads know; the fused
    head tells one number and learns it by L1. What a modality shows by itself is the expected value of its classes.

    After `fit`: `classes_` (K,) the value of each class, `modalities_`, `fit_`.
    """

    task: ClassVar[Task] = "regression"

    def fit(
        self,
        X: Features,
        y: ArrayLike,
        *,
        groups: Groups = None,
        unimodal_y: Mapping[str, ArrayLike] | None = None,
        lengths: Lengths | None = None,
        ids: ArrayLike | None = None,
        by: ArrayLike | None = None,
        validation: Held | None = None,
    ) -> Self:
        """Learn from features and numbers `y` (n,).

        `unimodal_y` are numbers (n,) per modality, NaN where unknown, for `unimodal_targets="given"`; all else as in
        `TicalClassifier.fit`. Raises UserError where all labels lie in one class.
        """
        config = self.config
        features = self._features(X, lengths, by)
        learn = self._material(features, y)
        if len(present := np.flatnonzero(learn.y.any(axis=0))) < 2:
            raise UserError(
                f"all labels lie in one class, around {level_values(config.label_edges)[present[0]]:g}; "
                f"label_edges are {', '.join(f'{edge:g}' for edge in config.label_edges)}"
            )
        given = None
        if config.unimodal_targets == "given":
            numbers = given_labels(unimodal_y, features, (len(learn.y),))
            given = {m: levels_of(values, config.label_edges) for m, values in numbers.items()}
        held = (
            None
            if validation is None
            else self._material(self._features(validation[0], None, *validation[2:]), validation[1])
        )
        self._train(Material(learn.x, learn.y, given, learn.number), groups, held, ids)
        self.classes_ = level_values(config.label_edges)
        return self

    def predict(self, X: Features, *, lengths: Lengths | None = None, by: ArrayLike | None = None) -> Array:
        """The number of each sample, (n,). Raises UserError for a sample without any modality."""
        x, found = self._assess(X, lengths, by)
        fused = self._fused(x, found).double().numpy()
        check_predicted(fused)
        return fused[:, 0]

    def assess(
        self, X: Features, *, lengths: Lengths | None = None, by: ArrayLike | None = None
    ) -> dict[str, NDArray[Any]]:
        """As `TicalClassifier.assess`, without probabilities: `pred` and `<m>_pseudo` are numbers, NaN where unknown.

        `<m>_pseudo_confidence` is that of the most probable class.
        """
        x, found = self._assess(X, lengths, by)
        fused = self._fused(x, found).double().numpy()
        return {
            "status": status_of(fused),
            "pred": fused[:, 0],
            **self._named_grouping(len(fused)),
            **self._conflict(x, found, self._value),
        }

    def _value(self, q: Array) -> Array:
        out: Array = q @ self.classes_
        return out

    def _material(self, x: dict[str, Array], y: ArrayLike) -> Material:
        numbers = check_numbers(y, len(next(iter(x.values()))))
        return Material(x, levels_of(numbers, self.config.label_edges), None, numbers)
