from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from beholder.tical.metrics import intervals
from beholder.tical.sentiment import measure_sentiment, measure_sims

#         zero  zero  half  half  even  clip   half   sign
TRUTH = [0.0, 0.0, 0.5, 1.5, 2.5, -3.0, -0.5, 1.0]
PRED = [-0.1, 0.2, 0.6, 2.0, 2.4, -4.9, 0.0, -1.0]


def test_zeros_count_as_the_name_says() -> None:
    found = measure_sentiment(TRUTH, PRED)
    # 0 is positive: rows 0 (-.1 against 0), 6 (0 against -.5) and 7 are wrong.
    assert found["acc2_has0"] == 5 / 8
    # Without the two zeros: row 6 (0 is not above 0, as -.5 is not) is right, 7 is wrong.
    assert found["acc2_non0"] == 5 / 6


def test_halves_are_rounded_to_the_even_number() -> None:
    found = measure_sentiment(TRUTH, PRED)
    # truth 0 0 0 2 2 -3 0 1, told 0 0 1 2 2 -3 0 -1
    assert found["acc7"] == 6 / 8
    assert found["acc5"] == 6 / 8
    # clipped to 1: truth 0 0 0 1 1 -1 0 1, told 0 0 1 1 1 -1 0 -1
    assert found["acc3"] == 6 / 8
    assert measure_sentiment([2.6, 1.2], [1.6, 2.6])["acc7"] == 0
    assert measure_sentiment([2.6, 1.2], [1.6, 2.6])["acc5"] == 0.5  # beyond 2 is 2
    assert measure_sentiment([2.6, 1.2], [1.6, 2.6])["acc3"] == 1


def test_f1_is_weighted_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth, pred = rng.integers(-3, 4, 80).astype(float), rng.normal(size=80)
    found = measure_sentiment(truth, pred)
    assert found["f1_has0"] == pytest.approx(f1_score(truth >= 0, pred >= 0, average="weighted"))
    kept = truth != 0
    assert found["f1_non0"] == pytest.approx(f1_score(truth[kept] > 0, pred[kept] > 0, average="weighted"))
    assert found["acc2_non0"] == pytest.approx(accuracy_score(truth[kept] > 0, pred[kept] > 0))


def test_distance_and_correlation() -> None:
    found = measure_sentiment([0.0, 1, 2], [1.0, 2, 3])
    assert (found["mae"], found["corr"]) == pytest.approx((1.0, 1.0))
    assert np.isnan(measure_sentiment([0.0, 1], [2.0, 2])["corr"])
    assert np.isnan(measure_sentiment([0.0, 0], [2.0, 1])["acc2_non0"])


def test_the_edges_of_sims_belong_to_the_class_below() -> None:
    truth = [-1.0, -0.7, -0.1, 0.0, 0.1, 0.7, 1.0]
    pred = [-1.4, -0.6, -0.2, 0.1, 0.0, 0.8, 0.9]
    # five classes: truth 0 0 1 2 2 3 4, told 0 1 1 2 2 4 4
    found = measure_sims(truth, pred)
    assert found["acc5"] == 5 / 7
    # three: truth 0 0 0 1 1 2 2, told 0 0 0 1 1 2 2
    assert found["acc3"] == 1
    # two, 0 is negative: truth 0 0 0 0 1 1 1, told 0 0 0 1 0 1 1
    assert found["acc2"] == 5 / 7
    assert found["f1"] == pytest.approx(5 / 7 * 0 + (4 * 0.75 + 3 * 2 / 3) / 7)


@pytest.mark.parametrize("measured", [measure_sentiment, measure_sims])
def test_weights_count_rows_more_than_once(measured: object) -> None:
    weights = np.array([0, 2, 1, 3, 0, 1, 1, 1], dtype=float)
    rows = np.repeat(np.arange(8), weights.astype(int))
    truth, pred = np.array(TRUTH), np.array(PRED)
    assert measured(truth, pred, weights) == pytest.approx(measured(truth[rows], pred[rows]))  # type: ignore[operator]


def test_intervals_are_of_the_measure_that_is_asked_for() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(-3, 3, 120)
    spans = intervals(truth, truth + rng.normal(0, 1, 120), np.arange(120) // 3, measured=measure_sentiment)
    low, high = spans["mae"]
    assert low < 0.8 < high
    assert set(spans) == set(measure_sentiment(truth, truth))


@pytest.mark.parametrize(
    ("truth", "pred", "says"),
    [([], [], "n at least 1"), ([1.0], [1.0, 2], "both must be"), ([1.0, 2], [1.0, np.nan], "prediction 1 is nan")],
)
def test_what_cannot_be_measured_is_named(truth: list[float], pred: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        measure_sentiment(truth, pred)
