import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from beholder.mini.config import HeadConfig
from beholder.mini.data import Rated
from beholder.mini.heads import Head, Lessons, Normaliser, fit_head
from beholder.mini.lessons import Pairs, cross_fit
from beholder.mini.model import expected, level_loss, level_targets

CONFIG = HeadConfig(
    folds=2, members=2, hidden=16, epochs=30, batch=32, dropout=0.1, input_dropout=0.0, learning_rate=5e-3
)
WIDTH = 24


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 24) and unit scores that are a bent function of the first two."""
    features = np.random.default_rng(seed).normal(size=(n, WIDTH)).astype(np.float32)
    return features, (1 / (1 + np.exp(-1.5 * features[:, 0] - 0.5 * np.abs(features[:, 1])))).astype(np.float32)


def srcc_on_new_features(head: Head) -> float:
    features, unit = planted(200, seed=1)
    with torch.inference_mode():
        return float(spearmanr(expected(head(torch.from_numpy(features))), unit).statistic)


def test_normalised_training_features_are_about_normal_whatever_their_tails():
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(4000, 3))
    skewed = np.stack([np.exp(2 * normal[:, 0]), 1e4 * normal[:, 1] ** 3, 1e-3 * normal[:, 2]], axis=1)
    features = torch.from_numpy(skewed.astype(np.float32))
    mapped = Normaliser.of(features)(features)
    torch.testing.assert_close(mapped.mean(dim=0), torch.zeros(3), atol=0.05, rtol=0)
    torch.testing.assert_close(mapped.std(dim=0), torch.ones(3), atol=0.1, rtol=0)
    for feature, score in zip(features.T, mapped.T, strict=True):
        assert spearmanr(feature, score).statistic > 0.99


def test_what_no_training_picture_had_ends_at_the_ends_of_the_map():
    features = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    mapped = Normaliser.of(features)(torch.tensor([[1e9, -1e9], [-1e9, 1e9]]))
    torch.testing.assert_close(mapped, torch.tensor([[2.5, -2.5], [-2.5, 2.5]]), atol=1e-3, rtol=0)


def test_a_feature_that_never_moved_in_training_stays_finite():
    mapped = Normaliser.of(torch.ones(50, 1))(torch.tensor([[0.0], [1.0], [2.0]]))
    assert mapped.isfinite().all()
    assert mapped.abs().max() <= 2.5 + 1e-3


def test_level_targets_keep_the_score_exactly_on_the_two_nearest_levels():
    unit = torch.linspace(0, 1, 41)
    targets = level_targets(unit)
    torch.testing.assert_close(targets @ torch.linspace(0, 1, 5), unit)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(41))
    assert ((targets > 1e-6).sum(dim=1) <= 2).all()


def test_level_loss_prefers_the_right_order():
    unit = torch.linspace(0.1, 0.9, 6)
    logits = (level_targets(unit) + 0.05).log()
    assert level_loss(logits, unit) < level_loss(logits[[1, 0, 2, 3, 4, 5]], unit) < level_loss(logits.flip(0), unit)


def test_a_small_batch_is_cross_entropy_alone():
    unit = torch.tensor([0.25, 0.75])
    logits = torch.tensor([[0.0, 3.0, 0, 0, 0], [0, 0, 0, 3.0, 0]])
    expected_loss = -logits.log_softmax(dim=1)[[0, 1], [1, 3]].mean()
    torch.testing.assert_close(level_loss(logits, unit), expected_loss)


def test_expected_is_the_mean_level():
    torch.testing.assert_close(expected(torch.zeros(1, 5)), torch.tensor([0.5]))
    torch.testing.assert_close(expected(torch.tensor([[0.0, 0, 0, 0, 50]])), torch.tensor([1.0]))


def test_merged_heads_answer_with_the_mean_of_all_members():
    torch.manual_seed(0)
    heads = [Head(WIDTH, members=2, hidden=4).eval() for _ in range(3)]
    x = torch.randn(5, WIDTH)
    merged = Head.merge(heads)
    torch.testing.assert_close(merged(x), torch.stack([head(x) for head in heads]).mean(dim=0))
    torch.testing.assert_close(merged.members(x), torch.cat([head.members(x) for head in heads]))


def test_members_of_a_head_do_not_share_what_they_learn():
    head = Head(WIDTH, members=2, hidden=4).eval()
    x = torch.randn(3, WIDTH)
    before = head.members(x).detach()
    with torch.no_grad():
        head.first[0] += 1.0
    after = head.members(x)
    assert not torch.allclose(after[0], before[0])
    torch.testing.assert_close(after[1], before[1])


def test_a_head_learns_a_planted_rule_and_nothing_from_shuffled_labels():
    features, unit = planted(400, seed=0)
    assert srcc_on_new_features(fit_head(Lessons(features, unit), CONFIG, seed=0)) > 0.8
    shuffled = [np.random.default_rng(seed).permutation(unit) for seed in range(3)]
    found = [srcc_on_new_features(fit_head(Lessons(features, unit), CONFIG, seed=0)) for unit in shuffled]
    assert abs(np.mean(found)) < 0.4, found


def test_the_seed_decides_a_head_entirely():
    features, unit = planted(64, seed=0)
    config = CONFIG.model_copy(update={"epochs": 2})
    first, again, other = (fit_head(Lessons(features, unit), config, seed=seed) for seed in (3, 3, 4))
    torch.testing.assert_close(first.first, again.first, rtol=0, atol=0)
    assert not torch.equal(first.first, other.first)


def test_pairs_teach_an_order_that_the_scores_say_nothing_about():
    """The third feature is damage: no rated picture has any, and only pairs tell which way it goes."""
    features, unit = planted(300, seed=0)
    features[:, 2] = 0.0
    clean, damaged = planted(400, seed=2)[0], planted(400, seed=2)[0]
    clean[:, 2], damaged[:, 2] = 0.0, 1.0
    pairs = np.stack([clean, damaged], axis=1)
    margin = np.full(300, 0.1, np.float32)

    def preferred(head: Head) -> float:
        with torch.inference_mode():
            pred = expected(head(torch.from_numpy(pairs[300:].reshape(-1, WIDTH)))).view(-1, 2)
        return float((pred[:, 0] > pred[:, 1]).float().mean())

    taught = fit_head(Lessons(features, unit, pairs[:300], margin), CONFIG, seed=0)
    against = fit_head(Lessons(features, unit, pairs[:300, ::-1].copy(), margin), CONFIG, seed=0)
    assert preferred(taught) > 0.9
    assert preferred(against) < 0.1


@pytest.fixture(scope="module")
def rated() -> tuple[Rated, np.ndarray]:
    features, unit = planted(200, seed=0)
    names = tuple(f"{i}.png" for i in range(200))
    groups = tuple(str(i // 2) for i in range(200))
    return Rated("quality", names, (), unit, groups, np.zeros((200, 5), np.float32)), features


def test_offsets_come_from_heads_that_never_saw_the_picture(rated):
    """With labels that only memory could know, an offset that agrees with them would be a leak."""
    one, features = rated
    noise = np.random.default_rng(8).permutation(one.unit)
    guessed = Rated(one.task, one.paths, one.pixels, noise, one.groups, one.offset)
    memorise = {"epochs": 60, "hidden": 64, "dropout": 0.0, "weight_decay": 0.0, "learning_rate": 1e-2}
    config = CONFIG.model_copy(update=memorise)
    fit = cross_fit(guessed, features, None, config, seed=0)
    unseen = spearmanr(expected(torch.from_numpy(fit.offset)), noise).statistic
    seen = spearmanr(expected(torch.from_numpy(fit.logits(features))), noise).statistic
    assert abs(unseen) < 0.3
    assert seen > 0.4, "the heads must be able to memorise, or this test proves nothing"


def test_cross_fitted_heads_answer_for_new_pictures(rated):
    one, features = rated
    pairs = Pairs(np.stack([features[:20], features[:20] - 1], axis=1), np.full(20, 0.05, np.float32))
    fit = cross_fit(one, features, pairs, CONFIG, seed=0)
    assert fit.head.first.shape == (CONFIG.folds * CONFIG.members, WIDTH, CONFIG.hidden)
    new, unit = planted(200, seed=1)
    assert spearmanr(expected(torch.from_numpy(fit.logits(new))), unit).statistic > 0.8
    assert spearmanr(expected(torch.from_numpy(fit.offset)), one.unit).statistic > 0.8
