import warnings

import numpy as np
import pytest
from scipy import stats

from beholder.evaluate.correlation import krcc, mae, plcc_logistic4, plcc_raw, rmse, srcc
from beholder.evaluate.logistic import LogisticFitError


def noisy(n: int, seed: int = 0, noise: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    mos = rng.normal(size=n)
    return mos + noise * rng.normal(size=n), mos


@pytest.mark.parametrize("levels", [2, 3, 10, 1000])
def test_ties_agree_with_scipy(levels):
    pred, mos = (np.floor(side * levels / 6) for side in noisy(500))
    assert srcc(pred, mos) == pytest.approx(stats.spearmanr(pred, mos).statistic, abs=1e-12)
    assert krcc(pred, mos) == pytest.approx(stats.kendalltau(pred, mos).statistic, abs=1e-12)
    assert plcc_raw(pred, mos) == pytest.approx(stats.pearsonr(pred, mos).statistic, abs=1e-12)


def test_a_quarter_of_a_million_rows_in_ten_levels_agree_with_scipy():
    """Rank sums of this size overflow int32: torchmetrics gives -0.004 where 0.66 is right."""
    pred, mos = (np.clip(np.round(side * 1.8 + 4.5), 0, 9) for side in noisy(255_000, noise=1.0))
    expected = stats.spearmanr(pred, mos).statistic
    assert 0.6 < expected < 0.75
    assert srcc(pred, mos) == pytest.approx(expected, abs=1e-12)
    assert krcc(pred, mos) == pytest.approx(stats.kendalltau(pred, mos).statistic, abs=1e-12)


def test_the_order_of_rows_does_not_matter_with_ties():
    pred, mos = (np.round(side) for side in noisy(200))
    orders = [np.arange(200), np.argsort(mos, kind="stable"), np.argsort(-mos, kind="stable")]
    assert np.ptp([srcc(pred[order], mos[order]) for order in orders]) < 1e-12
    assert np.ptp([krcc(pred[order], mos[order]) for order in orders]) < 1e-12


@pytest.mark.parametrize("metric", [srcc, krcc, plcc_raw])
def test_a_reversed_metric_is_negative(metric):
    pred, mos = noisy(100)
    assert metric(-pred, mos) == pytest.approx(-metric(pred, mos))
    assert metric(-mos, mos) == pytest.approx(-1.0)


@pytest.mark.parametrize("metric", [srcc, krcc, plcc_raw])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9 / 3])
def test_constant_predictions_have_no_correlation(metric, constant):
    _, mos = noisy(101)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metric(np.full(101, constant), mos))
        assert np.isnan(metric(mos, np.full(101, constant)))


@pytest.mark.parametrize("metric", [plcc_logistic4, rmse, mae])
def test_constant_predictions_have_no_curve(metric):
    _, mos = noisy(50)
    with pytest.raises(LogisticFitError, match="predictions are constant"):
        metric(np.full(50, 0.1), mos)


def test_float32_scores_far_from_zero_are_measured_in_float64():
    pred, mos = noisy(1000)
    shifted = (pred + 4096).astype(np.float32)
    assert plcc_raw(shifted, mos) == pytest.approx(plcc_raw(pred, mos), abs=1e-5)


def test_rmse_and_mae_are_in_mos_units_whatever_the_unit_of_the_predictions():
    pred, mos = noisy(400)
    assert rmse(pred * 37 - 5, mos) == pytest.approx(rmse(pred, mos), rel=1e-6)
    assert rmse(pred, mos * 20) == pytest.approx(20 * rmse(pred, mos), rel=1e-6)
    assert mae(pred, mos * 20) == pytest.approx(20 * mae(pred, mos), rel=1e-5)
    assert mae(pred, mos) < rmse(pred, mos) < mos.std()


@pytest.mark.parametrize("metric", [srcc, krcc, plcc_raw, plcc_logistic4, rmse, mae])
@pytest.mark.parametrize(
    ("pred", "mos", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], "2 predictions for 3 MOS"),
        ([1.0], [1.0], "n = 1; agreement needs at least 2"),
        ([1.0, 2.0, float("nan")], [1.0, 2.0, 3.0], r"pred\[2\] = nan"),
        ([1.0, 2.0, 3.0], [1.0, float("-inf"), 3.0], r"mos\[1\] = -inf"),
        ([[1.0, 2.0]], [[1.0, 2.0]], r"shape \(1, 2\)"),
    ],
)
def test_bad_input_is_named(metric, pred, mos, message):
    with pytest.raises(ValueError, match=message):
        metric(pred, mos)
