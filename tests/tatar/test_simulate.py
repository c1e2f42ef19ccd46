import json
from pathlib import Path

import pytest

from beholder.tatar.simulate import PREDICTORS, REWARDS, simulate

STORED = Path(__file__).parents[2] / "bench/results/tatar-simulation.json"


def signal(reward, predictor):
    task, function = REWARDS[reward]
    return simulate(function, task, PREDICTORS[predictor], sets=20, redraws=6)


def test_a_reward_of_the_score_alone_has_no_noise_and_always_prefers_the_nearer():
    found = signal("Gaussian (quality)", "fair")
    assert found.signal_to_noise is None
    assert found.agreement == pytest.approx(1)


def test_the_papers_ranking_means_the_same_for_good_and_random_and_hardly_tells_a_group_apart():
    random, good = (signal("thurstone_official", predictor) for predictor in ("random", "good"))
    assert abs(good.mean - random.mean) < 0.02
    assert good.std < 0.02
    ours_random, ours = (signal("thurstone", predictor) for predictor in ("random", "good"))
    assert ours.mean > ours_random.mean + 0.5
    assert ours.std > 10 * good.std


def test_ranking_does_not_see_a_bias_that_all_pictures_share():
    assert signal("Gaussian (quality)", "biased").mean < signal("Gaussian (quality)", "good").mean - 0.4
    assert signal("thurstone", "biased").mean == pytest.approx(signal("thurstone", "good").mean, abs=0.02)


def test_alone_on_its_device_a_collapsed_predictor_is_told_nothing():
    found = signal("rank_official, one picture per device", "collapsed")
    assert abs(found.agreement) < 0.3
    assert found.std < 0.005


def test_lengths_drown_the_papers_ranking_and_not_ours():
    assert signal("total of paper, aesthetics", "good").signal_to_noise < 0.5
    assert signal("total of beholder, aesthetics", "good").signal_to_noise > 1


def test_the_stored_table_is_of_these_rewards_and_predictors():
    table = json.loads(STORED.read_text())["table"]
    assert table["columns"] == ["reward", *PREDICTORS]
    assert [row[0] for row in table["rows"]] == list(REWARDS)


def test_an_anchor_sees_the_bias_that_ranking_does_not():
    biased, good = (signal("total of anchored, aesthetics", predictor) for predictor in ("biased", "good"))
    assert biased.mean < good.mean - 0.1
    assert biased.agreement > signal("total of beholder, aesthetics", "biased").agreement + 0.05
