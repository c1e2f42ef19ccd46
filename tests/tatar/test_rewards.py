from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from beholder.tatar.ranking import thurstone
from beholder.tatar.rewards import PRESETS, Completion, aesthetics_gaussian, gaussian, reward, window
from beholder.tatar.variants import by_raters


def completion(score, target=50.0, task="quality", image="a", n_words=40, **more):
    settings = {"dataset": "set", "n_words_all": n_words} | more
    return Completion(task=task, image=image, target=target, score=score, n_words=n_words, **settings)


def case_d(n_words=120):
    """Section 8 of the spec, case D."""
    scores = {"a": (70, [62, 80]), "b": (48, [50, 44]), "c": (25, [20, 35])}
    return [
        completion(score, target, "aesthetics", image, n_words)
        for image, (target, group) in scores.items()
        for score in group
    ]


@pytest.mark.parametrize(
    ("p", "g", "quality", "aesthetics", "released"),
    [
        (50, 50, 1, 1, 1),
        (52, 50, 0.965526, 0.967073, 1),
        (54, 50, 0.872834, 0.883213, 1),
        (58.75, 50, 0.545844, 0.605287, 0.907930),
        (60, 50, 0.460161, 0.533282, 0.799923),
        (65, 50, 0.197131, 0.299594, 0.449391),
        (30, 50, 0.067796, 0.157611, 0.236417),
        (73.42, 58.70, 0.208024, 0.310114, 0.465172),
    ],
)
def test_gaussian_rewards_are_those_of_the_spec(p, g, quality, aesthetics, released):
    assert gaussian(p, g, 0.8) == pytest.approx(quality, abs=1e-6)
    assert gaussian(p, g, 2.0) == pytest.approx(aesthetics, abs=1e-6)
    assert aesthetics_gaussian([completion(p, g, "aesthetics")]) == pytest.approx([released], abs=1e-6)


def test_a_nearer_score_is_always_worth_more():
    rewards = [gaussian(d, 0, 0.8) for d in range(101)]
    assert all(near > far for near, far in pairwise(rewards))
    assert gaussian(None, 50, 0.8) == 0


def test_length_windows_are_those_of_the_spec():
    assert [window(n, "quality") for n in (0, 40, 60, 80, 100)] == [1, 1, 1, 0.5, 0]
    assert [window(n, "aesthetics") for n in (20, 50, 80, 220, 270, 320)] == [0, 0.5, 1, 1, 0.5, 0]


@pytest.mark.parametrize(
    ("preset", "score", "n_words", "total"),
    [
        ("beholder", 52, 40, 1.465526),
        ("beholder", 52, 80, 1.340526),
        ("beholder", None, 40, -0.25),
        ("paper", 52, 40, 1.965526),
        ("paper", 52, 65, 1.965526),
        ("paper", 52, 66, 1.0),
        ("paper", None, 40, 0.0),
        ("released_code", 52, 66, 1.0),
    ],
)
def test_totals_of_quality_are_those_of_the_spec(preset, score, n_words, total):
    assert reward([completion(score, n_words=n_words)], PRESETS[preset]).total == pytest.approx([total], abs=1e-5)


@pytest.mark.parametrize(
    ("preset", "which", "n_words", "total"),
    [
        ("beholder", 1, 120, 1.49423),
        ("beholder", 1, 50, 1.36923),
        ("paper", 0, 130, 1.98162),
        ("paper", 0, 124, 1.0),
        ("released_code", 0, 130, 1.89585 + min(1, 1.5 * gaussian(62, 70, 2.0))),
        ("released_code", 0, 124, 1.89585),
    ],
)
def test_totals_of_aesthetics_are_those_of_the_spec(preset, which, n_words, total):
    assert reward(case_d(n_words), PRESETS[preset]).total[which] == pytest.approx(total, abs=1e-5)


def test_an_unparsed_aesthetics_completion_gets_the_least_and_changes_nobody_else():
    whole = reward(case_d(), PRESETS["beholder"])
    more = reward([*case_d(), completion(None, 70, "aesthetics", "a")], PRESETS["beholder"])
    assert more.total[-1] == -1.25
    assert more.total[:-1] == pytest.approx(whole.total)


@pytest.mark.parametrize("preset", ["paper", "beholder"])
def test_where_pictures_lie_on_devices_changes_nothing(preset):
    one = case_d(130)
    two = [replace(c, device=i % 2) for i, c in enumerate(one)]
    assert reward(one, PRESETS[preset]).total.tolist() == reward(two, PRESETS[preset]).total.tolist()


def test_the_released_code_sees_its_own_device_only():
    one = case_d(130)
    apart = [replace(c, device="abc".index(c.image)) for c in one]
    ranked = reward(apart, PRESETS["released_code"])
    assert not np.allclose(ranked.total, reward(one, PRESETS["released_code"]).total)
    assert ranked.rank_undefined == 6


def test_pictures_of_other_sets_are_not_compared_with():
    others = [replace(c, dataset="other", target=5.0, image="z") for c in case_d()[:1]]
    found = reward([*case_d(), *others], PRESETS["beholder"])
    assert found.total[:6] == pytest.approx(reward(case_d(), PRESETS["beholder"]).total)
    assert found.terms["thurstone"][6] == 0
    assert found.rank_undefined == 1
    assert reward([*case_d(), *others], PRESETS["paper"]).rank_undefined == 0


def test_earlier_pictures_are_rivals_without_a_reward_of_their_own():
    now, before = case_d()[:4], case_d()[4:]
    found = reward(now, PRESETS["beholder"], before)
    assert found.total.tolist() == pytest.approx(reward(case_d(), PRESETS["beholder"]).total[:4].tolist())
    assert found.terms.keys() == reward(now, PRESETS["beholder"]).terms.keys()
    assert reward(now[:2], PRESETS["beholder"], before).rank_undefined == 0
    assert reward(now[:2], PRESETS["beholder"]).rank_undefined == 2


@pytest.mark.parametrize("change", [{"image": "a"}, {"dataset": "other"}, {"task": "quality"}])
def test_a_picture_is_no_rival_of_itself_nor_of_other_sets_and_tasks(change):
    now = case_d()[:4]
    before = [replace(c, **({"target": 70.0} if "image" in change else {}) | change) for c in case_d()[4:]]
    assert reward(now, PRESETS["beholder"], before).total.tolist() == reward(now, PRESETS["beholder"]).total.tolist()


def test_gt_noise_is_that_of_the_raters_and_has_to_be_known():
    stds = {"a": 10.0, "b": 20.0, "c": 5.0}
    known = [replace(c, target_std=stds[c.image]) for c in case_d()]
    scores = [[62, 80], [50, 44], [20, 35]]
    expected = thurstone(scores, [70, 48, 25], stds=[10, 20, 5])
    ours = by_raters(PRESETS["beholder"])
    assert reward(known, ours).terms["thurstone"] == pytest.approx(np.ravel(expected))
    with pytest.raises(ValueError, match="3 of 3 pictures have no target_std"):
        reward(case_d(), ours)


@pytest.mark.parametrize("preset", PRESETS)
def test_order_does_not_matter_and_terms_add_up(preset):
    mixed = [*case_d(130), *(completion(s, image=f"q{s}") for s in (10, 50, 90)), completion(None, image="q")]
    order = np.random.default_rng(0).permutation(len(mixed))
    straight, turned = reward(mixed, PRESETS[preset]), reward([mixed[i] for i in order], PRESETS[preset])
    assert turned.total == pytest.approx(straight.total[order])
    assert np.nansum(list(straight.terms.values()), axis=0) == pytest.approx(straight.total)
    ranking = next(name for name in straight.terms if "thurstone" in name or "rank" in name)
    assert np.isnan(straight.terms[ranking][6:]).all()


@pytest.mark.parametrize("preset", PRESETS)
def test_unparsed_is_below_whatever_was_parsed(preset):
    rng = np.random.default_rng(1)
    for task in ("quality", "aesthetics"):
        mixed = [
            completion(score, float(ord(image)) % 100, task, image, int(rng.integers(0, 400)))
            for image in "abcd"
            for score in (None, 0.0, 100.0, *rng.uniform(0, 100, 3))
        ]
        total = reward(mixed, PRESETS[preset]).total
        failed = np.array([c.score is None for c in mixed])
        assert np.isfinite(total).all()
        assert total[failed].max() < total[~failed].min()


def test_completions_of_one_picture_have_one_target():
    with pytest.raises(ValueError, match="several targets"):
        reward([*case_d(), completion(50, 71, "aesthetics", "a")], PRESETS["beholder"])


def test_no_completions_no_rewards():
    assert reward([], PRESETS["beholder"]).total.shape == (0,)
