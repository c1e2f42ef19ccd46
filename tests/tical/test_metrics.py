from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from beholder.tical.metrics import calibration_error, intervals, measure


def test_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(list("abcd"), 200, p=[0.5, 0.3, 0.15, 0.05])
    pred = np.where(rng.random(200) < 0.6, truth, rng.choice(list("abcd"), 200))
    found = measure(truth, pred)
    assert found["wa"] == pytest.approx(accuracy_score(truth, pred))
    assert found["ua"] == pytest.approx(balanced_accuracy_score(truth, pred))
    assert found["weighted_f1"] == pytest.approx(f1_score(truth, pred, average="weighted"))
    assert found["macro_f1"] == pytest.approx(f1_score(truth, pred, average="macro"))


def test_a_class_that_truth_lacks_counts_only_as_a_mistake() -> None:
    assert measure(["a", "a"], ["a", "z"]) == pytest.approx(
        {"wa": 0.5, "ua": 0.5, "weighted_f1": 2 / 3, "macro_f1": 2 / 3}
    )


def test_calibration_error_is_the_gap_between_confidence_and_hits() -> None:
    assert calibration_error(np.array([1.0, 1, 0, 0]), np.array([0.9, 0.9, 0.9, 0.9])) == pytest.approx(0.4)
    assert calibration_error(np.ones(3), np.ones(3)) == 0


def test_intervals_widen_where_groups_are_few() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(12), 20)
    hit = rng.random(12)[group] > 0.4
    truth = np.zeros(240, dtype=int)
    rows = intervals(truth, np.where(hit, 0, 1), np.arange(240))["wa"]
    groups = intervals(truth, np.where(hit, 0, 1), group)["wa"]
    assert groups[1] - groups[0] > 2 * (rows[1] - rows[0])
