from functools import partial

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from beholder.tatar.ranking import rank_official, thurstone, thurstone_official

FUNCTIONS = {
    "thurstone_official": thurstone_official,
    "rank_official": rank_official,
    "normal": thurstone,
    "logistic": partial(thurstone, link="logistic"),
}

CASES = {  # section 8 of the spec: scores, targets, then the rewards of the four functions
    "A good order": (
        [[70, 74], [30, 34]], [75, 30],
        [0.99651, 0.99641, 0.99641, 0.99651], [0.92479, 0.92480, 0.92480, 0.92479],
        [0.99674, 0.99927, 0.99927, 0.99674], [0.99553, 0.99887, 0.99887, 0.99553],
    ),
    "B reversed": (
        [[70, 74], [30, 34]], [30, 75],
        [0.03164, 0.00359, 0.00359, 0.03164], [0.90179, 0.89938, 0.89938, 0.90179],
        [-0.87694, -0.89364, -0.89364, -0.87694], [-0.85231, -0.86630, -0.86630, -0.85231],
    ),
    "C near tie": (
        [[48, 60], [50, 52]], [52, 50],
        [0.94543, 0.93826, 0.94894, 0.95033], [0.91142, 0.90873, 0.92001, 0.92033],
        [0.64675, 0.46962, 0.96754, 0.99836], [0.59947, 0.42257, 0.96357, 0.99815],
    ),
    "D three images": (
        [[62, 80], [50, 44], [20, 35]], [70, 48, 25],
        [0.98162, 0.98464, 0.98384, 0.98341, 0.98641, 0.98175],
        [0.89585, 0.89585, 0.93832, 0.93775, 0.90731, 0.90547],
        [0.86615, 0.99423, 0.94077, 0.91503, 0.99153, 0.83514],
        [0.88081, 0.99341, 0.95273, 0.92948, 0.99100, 0.85218],
    ),
    "E no spread, right": ([[75, 75], [30, 30]], [75, 30], [0.99641] * 4, [0.92801] * 4, [1] * 4, [1] * 4),
    "F no spread, 90 apart": (
        [[95, 95], [5, 5]], [60, 40], [0.92414] * 4, [0.92458] * 4, [-0.39320] * 4, [-0.27214] * 4,
    ),
    "H uninformed": ([[50, 50], [50, 50]], [75, 30], [0.94983] * 4, [0.92474] * 4, [0] * 4, [0] * 4),
}  # fmt: skip


def flat(rewards):
    return [value for group in rewards for value in group]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rewards_are_those_of_the_spec(name, case):
    scores, targets, *expected = CASES[case]
    found = flat(FUNCTIONS[name](scores, targets))
    assert found == pytest.approx(expected[list(FUNCTIONS).index(name)], abs=1e-5)


def test_alone_the_released_ranking_is_a_consensus_bonus_whatever_the_target():
    scores = [list(range(40, 80, 5))]
    expected = [0.84907, 0.87169, 0.88754, 0.89568, 0.89568, 0.88754, 0.87169, 0.84907]
    for aim in (10, 90):
        assert rank_official(scores, [aim])[0] == pytest.approx(expected, abs=1e-5)
        assert thurstone_official(scores, [aim]) == [[0.0] * 8]
        assert thurstone(scores, [aim]) == [[0.0] * 8]


def test_worse_is_less_without_a_flat_region_and_never_below_minus_one():
    apart = np.arange(0, 60, 2.0)
    rewards = [thurstone([[50 - d], [50 + d]], [70, 30])[0][0] for d in apart / 2]
    assert rewards[0] == pytest.approx(0)
    assert (np.diff(rewards) < -1e-4).all()
    assert -1 < rewards[-1] < -0.5


def test_at_zero_spread_the_best_distance_is_the_targets_own():
    rewards = [thurstone([[50 + d], [50]], [62, 50])[0][0] for d in range(31)]
    assert int(np.argmax(rewards)) == 12
    assert max(rewards) == pytest.approx(1)


@pytest.mark.parametrize(("std", "best"), [(2, 45), (10, 10), (30, 3)])
def test_how_far_apart_scores_should_be_depends_on_how_far_people_agreed(std, best):
    """At zero spread the optimum is where both probabilities are equal: d / 0.136 = 0.1 / sqrt(2 std^2 + 1e-4)."""
    rewards = [thurstone([[30 + d], [30]], [60, 50], stds=[std, std])[0][0] for d in range(61)]
    assert int(np.argmax(rewards)) == best


def test_raters_as_noisy_as_the_constant_give_the_constants_rewards():
    same = 100 * np.sqrt((0.136**2 - 1e-4) / 2)
    scores, targets = [[62, 80], [50, 44], [20, 35]], [70, 48, 25]
    assert flat(thurstone(scores, targets, stds=[same] * 3)) == pytest.approx(flat(thurstone(scores, targets)))


def test_deviations_belong_to_their_pictures():
    """Case D, worked by hand for its first completion: j = 2 and 3, normal link."""
    scores, targets, stds = [[62, 80], [50, 44], [20, 35]], [70, 48, 25], [10, 20, 5]
    g, q, mu = np.array(targets) / 100, 0.62, np.array([0.71, 0.47, 0.275])
    variance = np.array([np.var(group, ddof=1) for group in scores]) / 1e4
    losses, entropies = [], []
    for j in (1, 2):
        p_gt = norm.cdf((g[0] - g[j]) / np.sqrt((stds[0] ** 2 + stds[j] ** 2) / 1e4 + 1e-4))
        p = norm.cdf((q - mu[j]) / np.sqrt(variance[0] + variance[j] + 0.136**2))
        losses.append(-(p_gt * np.log(p) + (1 - p_gt) * np.log(1 - p)))
        entropies.append(-(p_gt * np.log(p_gt) + (1 - p_gt) * np.log(1 - p_gt)))
    x = 1 - (np.mean(losses) - np.mean(entropies)) / (np.log(2) - np.mean(entropies))
    assert thurstone(scores, targets, stds=stds)[0][0] == pytest.approx(x)


def noisy(rng, n=8, g=8):
    targets = rng.uniform(10, 90, n)
    centres = targets + rng.normal(0, 10, n)
    return [list(c + rng.normal(0, 5, g)) for c in centres], list(targets)


def test_within_a_group_our_reward_tells_completions_apart_and_the_papers_hardly_does():
    rng = np.random.default_rng(0)
    spread = {"normal": [], "thurstone_official": []}
    for _ in range(40):
        scores, targets = noisy(rng)
        for name, found in spread.items():
            found.append(np.mean([np.std(group, ddof=1) for group in FUNCTIONS[name](scores, targets)]))
    assert np.mean(spread["normal"]) > 0.1
    assert np.mean(spread["thurstone_official"]) < 0.02


def test_uniform_weights_order_completions_by_their_error_better_than_close_ones():
    rng = np.random.default_rng(1)
    agreement = {False: [], True: []}
    for _ in range(40):
        scores, targets = noisy(rng)
        for close, found in agreement.items():
            rewards = thurstone(scores, targets, close=close)
            for group, values, aim in zip(scores, rewards, targets, strict=True):
                found.append(spearmanr(values, -np.abs(np.array(group) - aim)).statistic)
    assert np.mean(agreement[False]) > np.mean(agreement[True]) + 0.02


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_scores_give_finite_rewards_in_range_and_unparsed_ones_count_for_nothing(name):
    rng = np.random.default_rng(2)
    low = -1 if name in ("normal", "logistic") else 0
    for _ in range(50):
        pool = [None, 0.0, 100.0, 50.0, *rng.uniform(0, 100, 3)]
        scores = [[pool[i] for i in rng.integers(0, len(pool), rng.integers(1, 6))] for _ in range(rng.integers(1, 5))]
        targets = [float(rng.choice([0, 50, 100, 33.3])) for _ in scores]
        rewards = FUNCTIONS[name](scores, targets)
        assert [len(group) for group in rewards] == [len(group) for group in scores]
        assert all(np.isfinite(value) and low <= value <= 1 for value in flat(rewards))
        pairs = list(zip(flat(scores), flat(rewards), strict=True))
        assert all(value == low for score, value in pairs if score is None)
        without = FUNCTIONS[name]([[s for s in group if s is not None] for group in scores], targets)
        assert flat(without) == pytest.approx([value for score, value in pairs if score is not None])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_order_of_pictures_and_completions_does_not_matter(name):
    scores, targets = noisy(np.random.default_rng(3), n=4, g=3)
    straight = FUNCTIONS[name](scores, targets)
    turned = FUNCTIONS[name]([group[::-1] for group in scores[::-1]], targets[::-1])
    assert flat([group[::-1] for group in turned[::-1]]) == pytest.approx(flat(straight))


def test_every_picture_needs_a_target():
    with pytest.raises(ValueError, match="2 groups of scores and 1 targets"):
        thurstone([[50], [60]], [50])
