import numpy as np
import pytest

from beholder.evaluate import correlation
from beholder.evaluate.bootstrap import METRICS, bootstrap, paired_bootstrap, resample_counts
from beholder.evaluate.logistic import fit_logistic4


def correlated(n: int, seed: int, rho: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pred, mos = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], size=n).T
    return pred, mos


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("groups", [None, [i // 3 for i in range(60)]])
def test_a_resample_gives_what_the_copied_rows_give(metric, groups):
    pred, mos = (np.round(side, 1) for side in correlated(60, seed=1))  # rounded, so that there are ties
    held = {"curve": fit_logistic4(pred, mos)} if metric in {"plcc_logistic4", "rmse", "mae"} else {}
    for seed in range(5):
        [counts] = resample_counts(60, groups, resamples=1, seed=seed)
        copied = getattr(correlation, metric)(np.repeat(pred, counts), np.repeat(mos, counts), **held)
        one = bootstrap(pred, mos, metrics=[metric], groups=groups, resamples=1, seed=seed)[metric]
        assert one.low == one.high == pytest.approx(copied, abs=1e-12)


def test_a_resample_draws_as_many_units_as_there_are():
    assert all(counts.sum() == 50 for counts in resample_counts(50, None, 20, seed=0))
    groups = [f"scene {i % 7}" for i in range(70)]
    for counts in resample_counts(70, groups, 20, seed=0):
        assert counts.sum() == 70
        assert all(len(set(counts[i::7])) == 1 for i in range(7)), "rows of one group are drawn together"


def test_nineteen_of_twenty_intervals_hold_the_true_value():
    rho, repetitions = 0.8, 200
    true_srcc = 6 / np.pi * np.arcsin(rho / 2)
    held = dict.fromkeys(["srcc", "plcc_raw"], 0)
    for seed in range(repetitions):
        found = bootstrap(*correlated(100, seed, rho), metrics=list(held), resamples=150, seed=seed)
        for metric, truth in (("srcc", true_srcc), ("plcc_raw", rho)):
            held[metric] += found[metric].low <= truth <= found[metric].high
    assert {metric: 0.90 <= n / repetitions <= 0.98 for metric, n in held.items()} == dict.fromkeys(held, True), held


def test_copies_of_one_reference_do_not_make_the_interval_narrower():
    pred, mos = correlated(80, seed=2)
    groups = np.repeat(np.arange(80), 5).tolist()
    pred_5, mos_5 = np.repeat(pred, 5), np.repeat(mos, 5)

    def width(**options):
        found = bootstrap(**options, metrics=["srcc"], resamples=400)["srcc"]
        return found.high - found.low

    by_row = width(pred=pred_5, mos=mos_5)
    by_group = width(pred=pred_5, mos=mos_5, groups=groups)
    assert by_group > 1.8 * by_row
    assert by_group == pytest.approx(width(pred=pred, mos=mos), rel=0.15)


def test_a_planted_difference_is_found_and_a_null_one_is_not():
    rng = np.random.default_rng(3)
    mos = rng.normal(size=400)
    good, good_too = (mos + 0.5 * rng.normal(size=400) for _ in range(2))
    worse = mos + 0.7 * rng.normal(size=400)
    options = {"metrics": ["srcc", "rmse"], "resamples": 150}
    planted = paired_bootstrap(good, worse, mos, **options)
    assert planted["srcc"].low > 0
    assert planted["rmse"].high < 0
    assert planted["srcc"].p < 0.02
    null = paired_bootstrap(good, good_too, mos, **options)
    assert null["srcc"].low < 0 < null["srcc"].high
    assert null["srcc"].p > 0.05


def test_pairing_sees_what_two_intervals_cannot():
    """Two models with nearly the same errors: their intervals overlap, and yet their difference is sure."""
    rng = np.random.default_rng(4)
    mos = rng.normal(size=300)
    a = mos + 0.8 * rng.normal(size=300)
    b = a + 0.4 * rng.normal(size=300)
    alone_a, alone_b = (bootstrap(pred, mos, metrics=["srcc"], resamples=300)["srcc"] for pred in (a, b))
    assert alone_a.low < alone_b.high
    assert paired_bootstrap(a, b, mos, metrics=["srcc"], resamples=300)["srcc"].low > 0


def test_a_model_does_not_differ_from_itself():
    pred, mos = correlated(50, seed=5)
    same = paired_bootstrap(pred, pred, mos, resamples=100)
    assert all(difference.value == difference.low == difference.high == 0 for difference in same.values())
    assert all(difference.p == 1 for difference in same.values())


def test_swapping_the_models_turns_the_sign():
    pred, mos = correlated(60, seed=6)
    other = pred + np.random.default_rng(6).normal(size=60)
    ab = paired_bootstrap(pred, other, mos, metrics=["srcc"], resamples=200)["srcc"]
    ba = paired_bootstrap(other, pred, mos, metrics=["srcc"], resamples=200)["srcc"]
    assert (ab.value, ab.low, ab.high, ab.p) == pytest.approx((-ba.value, -ba.high, -ba.low, ba.p))


def test_the_seed_decides_the_interval():
    pred, mos = correlated(80, seed=7)
    first, again, other = (bootstrap(pred, mos, resamples=100, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first["srcc"].value == other["srcc"].value
    assert first["srcc"].low != other["srcc"].low


def test_a_failed_fit_is_named_and_not_replaced():
    pred, mos = correlated(100, seed=8)
    found = bootstrap(-pred, mos, resamples=100)
    assert found["srcc"].high < 0
    assert found["plcc_raw"].high < 0
    for metric in ("plcc_logistic4", "rmse", "mae"):
        assert found[metric].value is None
        assert found[metric].low is None
        assert found[metric].problem.startswith("logistic fit failed: ")


def test_the_interval_of_a_useless_metric_reaches_below_zero():
    """The curve may only rise, but it is held: fitted anew to each resample it would always find something."""
    pred, mos = correlated(200, seed=0, rho=0.05)
    found = bootstrap(pred, mos, metrics=["srcc", "plcc_logistic4"], resamples=200)
    assert found["srcc"].low < 0 < found["srcc"].high
    assert found["plcc_logistic4"].low < 0 < found["plcc_logistic4"].value


def test_constant_predictions_are_named():
    _, mos = correlated(50, seed=9)
    found = bootstrap(np.full(50, 0.1), mos, resamples=100)
    assert all(estimate.value is None and "constant" in estimate.problem for estimate in found.values())
    pair = paired_bootstrap(mos, np.full(50, 0.1), mos, resamples=100)
    assert all(difference.problem.startswith("B: ") for difference in pair.values())


@pytest.mark.parametrize("groups", [None, ["one scene"] * 9])
def test_too_few_units_give_a_value_without_an_interval(groups):
    found = bootstrap(*correlated(9, seed=10), groups=groups, metrics=["srcc"], resamples=100)["srcc"]
    assert found.value is not None
    assert found.low is None
    assert "to resample, at least 10 are needed" in found.problem


def test_resamples_that_often_fail_give_no_interval():
    mos = np.array([1.0, 2.0] + [1.5] * 10)
    found = bootstrap(np.array([0.0] * 11 + [1.0]), mos, metrics=["srcc"], resamples=200)["srcc"]
    assert "of 200 resamples gave no value" in found.problem


def test_one_row_is_no_correlation():
    assert bootstrap([1.0], [1.0])["srcc"].problem == "n = 1; at least 2 rows are needed"
    assert paired_bootstrap([1.0], [1.0], [1.0])["srcc"].problem == "n = 1; at least 2 rows are needed"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["a", "b"]}, "2 group names for 20 rows"),
        ({"resamples": 0}, "resamples = 0"),
        ({"metrics": ["scc"]}, "unknown metric 'scc'; known are srcc"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap(*correlated(20, seed=11), **options)
