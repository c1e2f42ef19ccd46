import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from beholder.mini.config import KernelConfig
from beholder.mini.heads import Head, Kernel, Normaliser, Pairs, fit_head
from beholder.mini.lessons import cross_validate, score_rows

PLACES = {"statistics": slice(0, 4), "texture": slice(4, 12), "colour": slice(12, 24)}
WIDTH = 24


def planted(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 24) and unit scores that are a bent function of the first two."""
    features = np.random.default_rng(seed).normal(size=(n, WIDTH)).astype(np.float32)
    return features, (1 / (1 + np.exp(-1.5 * features[:, 0] - 0.5 * np.abs(features[:, 1])))).astype(np.float32)


def srcc_on_new_features(head: Head) -> float:
    features, unit = planted(200, seed=1)
    return float(spearmanr(score_rows(head, features), unit).statistic)


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


def test_likeness_is_the_sum_of_one_gaussian_per_block(head_config):
    rng = np.random.default_rng(0)
    landmarks, seen = (torch.from_numpy(rng.normal(size=(n, WIDTH)).astype(np.float32)) for n in (9, 5))
    kernels = {"statistics": KernelConfig(weight=1, width=0.2), "texture": KernelConfig(weight=0.5, width=0.1),
               "colour": KernelConfig(weight=0.25, width=1.0)}  # fmt: skip
    kernel = Kernel(landmarks, PLACES, head_config.model_copy(update={"kernels": kernels}))
    a, b = (
        kernel.normaliser(x)[:, None] if i == 0 else kernel.normaliser(x)[None] for i, x in ((0, seen), (1, landmarks))
    )
    expected = sum(
        one.weight * torch.exp(-one.width * (a[..., PLACES[block]] - b[..., PLACES[block]]).square().mean(dim=-1))
        for block, one in kernels.items()
    )
    torch.testing.assert_close(kernel(seen), expected, rtol=0, atol=5e-3)  # landmarks are kept in half precision
    torch.testing.assert_close(kernel(landmarks).diagonal(), torch.full((9,), 1.75), rtol=0, atol=1e-2)


def test_a_head_learns_a_planted_rule_and_nothing_from_shuffled_labels(head_config):
    features, unit = planted(400, seed=0)
    assert srcc_on_new_features(fit_head(features, unit, PLACES, None, head_config)) > 0.8
    shuffled = [np.random.default_rng(seed).permutation(unit) for seed in range(3)]
    found = [srcc_on_new_features(fit_head(features, unit, PLACES, None, head_config)) for unit in shuffled]
    assert abs(np.mean(found)) < 0.4, found


def test_more_ridge_is_a_flatter_function(head_config):
    features, unit = planted(200, seed=0)
    spread = [
        float(
            score_rows(
                fit_head(
                    features,
                    unit,
                    PLACES,
                    None,
                    head_config.model_copy(update={"ridge": ridge, "correlation_weight": 0.0}),
                ),
                features,
            ).std()
        )
        for ridge in (1e-4, 1e-2, 1.0)
    ]
    assert spread[0] > 1.2 * spread[1] > 1.2 * 1.2 * spread[2]


def test_a_fit_has_no_chance_in_it(head_config):
    features, unit = planted(64, seed=0)
    first, again = (fit_head(features, unit, PLACES, None, head_config) for _ in range(2))
    torch.testing.assert_close(first.weights, again.weights, rtol=0, atol=0)


def test_pairs_teach_an_order_that_the_scores_say_nothing_about(head_config):
    """The third feature is damage: no rated picture has any, and only pairs tell which way it goes."""
    features, unit = planted(300, seed=0)
    features[:, 2] = 0.01 * features[:, 2]
    clean, damaged = planted(400, seed=2)[0], planted(400, seed=2)[0]
    clean[:, 2], damaged[:, 2] = 0.0, 1.0
    pairs = np.stack([clean, damaged], axis=1)
    config = head_config.model_copy(update={"pair_weight": 4.0, "pair_landmarks": 100})

    def preferred(head: Head) -> float:
        pred = score_rows(head, pairs[300:].reshape(-1, WIDTH)).reshape(-1, 2)
        return float((pred[:, 0] > pred[:, 1]).mean())

    margin = np.full(300, 0.1, np.float32)
    taught = fit_head(features, unit, PLACES, Pairs(pairs[:300], margin, (None,) * 300), config)
    against = fit_head(features, unit, PLACES, Pairs(pairs[:300, ::-1].copy(), margin, (None,) * 300), config)
    assert preferred(taught) > 0.9
    assert preferred(against) < 0.1
    assert len(taught.weights) == 400, "300 rated pictures and 100 damaged ones"


def test_cross_validation_never_asks_a_head_that_saw_the_group(head_config):
    """Labels that only memory could know: agreement with them would be a leak."""
    features, unit = planted(200, seed=0)
    groups = [str(i // 2) for i in range(200)]
    features[1::2], unit[1::2] = features[::2], unit[::2]  # two of a kind in each group
    noise = np.repeat(np.random.default_rng(8).permutation(unit[::2]), 2)
    config = head_config.model_copy(update={"ridge": 1e-7, "steps": 200})
    unseen = spearmanr(cross_validate(features, noise, groups, PLACES, None, config), noise).statistic
    seen = spearmanr(score_rows(fit_head(features, noise, PLACES, None, config), features), noise).statistic
    assert abs(unseen) < 0.3
    assert seen > 0.6, "the heads must be able to memorise, or this test proves nothing"
    honest = cross_validate(features, unit, groups, PLACES, None, head_config)
    assert spearmanr(honest, unit).statistic > 0.6


def test_a_fold_sees_no_damaged_version_of_its_pictures(head_config):
    """The damage carries labels that only memory could know, and leads by far: agreement would be a leak."""
    features, _ = planted(120, seed=0)
    groups = [str(i) for i in range(120)]
    unit = np.random.default_rng(8).permutation(np.linspace(0, 1, 120)).astype(np.float32)
    order = np.argsort(unit)
    best, worst = order[60:], order[:60]
    pairs = Pairs(np.stack([features[best], features[worst]], axis=1), np.full(60, 0.5, np.float32),
                  tuple(groups[i] for i in best))  # fmt: skip
    config = head_config.model_copy(update={"pair_weight": 20.0, "ridge": 1e-7, "steps": 200})
    unseen = cross_validate(features, unit, groups, PLACES, pairs, config)
    leaked = cross_validate(features, unit, groups, PLACES, Pairs(pairs.features, pairs.margin, (None,) * 60), config)
    assert unseen[best].mean() - unseen[worst].mean() < 0.5 * (leaked[best].mean() - leaked[worst].mean())


@pytest.mark.parametrize("count", [3, 50])
def test_few_pictures_are_enough_for_a_fit(count, head_config):
    features, unit = planted(count, seed=0)
    assert np.isfinite(score_rows(fit_head(features, unit, PLACES, None, head_config), features)).all()
