import numpy as np
import pytest
from scipy.optimize import curve_fit

from beholder.evaluate.correlation import plcc_logistic4, plcc_raw, srcc
from beholder.evaluate.logistic import Logistic4, LogisticFitError, fit_logistic4


def test_a_known_curve_is_found():
    known = Logistic4(b1=4.6, b2=1.2, b3=55.0, b4=9.0)
    pred = np.random.default_rng(0).uniform(10, 100, 300)
    found = fit_logistic4(pred, known(pred))
    assert (found.b1, found.b2, found.b3, found.b4) == pytest.approx((4.6, 1.2, 55.0, 9.0), rel=1e-4)


def test_it_is_the_least_squares_fit_from_the_published_start():
    rng = np.random.default_rng(1)
    pred = rng.normal(40, 12, 400)
    mos = Logistic4(80.0, 20.0, 45.0, 6.0)(pred) + rng.normal(0, 5, 400)

    def curve(z, b1, b2, b3, b4):
        return (b1 - b2) / (1 + np.exp(-(z - b3) / b4)) + b2

    z = (pred - pred.mean()) / pred.std()
    bounds = ([-np.inf, -np.inf, -np.inf, 1e-6], np.inf)
    expected, _ = curve_fit(curve, z, mos, p0=[mos.max(), mos.min(), z.mean(), z.std() / 4], bounds=bounds)
    assert fit_logistic4(pred, mos)(pred) == pytest.approx(curve(z, *expected), abs=1e-3)


@pytest.mark.parametrize("n", [50, 300, 2000])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.05, 0.5])
def test_a_straight_line_is_fitted_although_its_best_curve_is_infinitely_wide(n, noise):
    rng = np.random.default_rng(2)
    pred = rng.normal(size=n)
    mos = 2 * pred + noise * rng.normal(size=n)
    assert plcc_logistic4(pred, mos) >= plcc_raw(pred, mos) - 1e-8


def test_a_step_is_fitted_although_its_best_curve_is_infinitely_steep():
    pred = np.linspace(0, 1, 200)
    mos = np.where(pred > 0.7, 4.0, 2.0)
    assert plcc_logistic4(pred, mos) == pytest.approx(1.0, abs=1e-6)


def test_a_weak_metric_is_fitted_too():
    for seed in range(5):
        pred, mos = np.random.default_rng(seed).multivariate_normal([0, 0], [[1, 0.1], [0.1, 1]], size=300).T
        assert plcc_logistic4(pred, mos) >= plcc_raw(pred, mos) - 1e-6


def test_the_curve_only_rises():
    rng = np.random.default_rng(3)
    for seed in range(50):
        pred, mos = rng.normal(size=(2, 30 + seed))
        try:
            curve = fit_logistic4(pred, mos)
        except LogisticFitError:
            continue
        assert curve.b1 >= curve.b2
        assert curve.b4 > 0
        assert (np.diff(curve(np.sort(pred))) >= 0).all()


def test_a_reversed_metric_gets_no_curve_and_keeps_its_sign():
    rng = np.random.default_rng(4)
    mos = rng.normal(size=200)
    pred = -mos + 0.3 * rng.normal(size=200)
    with pytest.raises(LogisticFitError, match="does not rise"):
        plcc_logistic4(pred, mos)
    assert srcc(pred, mos) < -0.9


def test_too_few_rows_for_four_parameters_are_refused():
    with pytest.raises(LogisticFitError, match="4 rows"):
        fit_logistic4(np.arange(4.0), np.arange(4.0))
