from __future__ import annotations

import numpy as np
import pytest
import torch

from beholder.errors import UserError
from beholder.tical.anchors import AnchorSpace, choose_anchors, in_sample, near_distances, out_of_fold, place_anchors
from beholder.tical.config import TicalConfig

FLAT = TicalConfig(space="euclidean", n_near=2)


def test_confidence_of_a_group_does_not_know_the_groups_own_labels() -> None:
    rng = np.random.default_rng(0)
    x, y, groups = rng.normal(size=(90, 3)), rng.integers(3, size=90), np.repeat(np.arange(9), 10)
    told = out_of_fold(x, y, 3, groups, folds=3)
    changed = np.where(groups == 4, (y + 1) % 3, y)
    again = out_of_fold(x, changed, 3, groups, folds=3)
    assert np.array_equal(told[groups == 4], again[groups == 4])
    assert not np.array_equal(told, again)


def test_a_class_that_training_folds_lack_gets_probability_zero() -> None:
    x = np.random.default_rng(0).normal(size=(30, 2))
    y, groups = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 2], 10)
    y[::7] = 0
    told = out_of_fold(x, y, 4, groups, folds=3)
    assert (told[:, 3] == 0).all()
    assert told.sum(axis=1) == pytest.approx(1.0)


def test_too_few_groups_are_named() -> None:
    with pytest.raises(UserError, match=r"2 groups.*3 folds"):
        out_of_fold(np.zeros((4, 1)), np.array([0, 1, 0, 1]), 2, np.array([0, 0, 1, 1]), folds=3)


def test_anchors_are_sure_and_right_and_the_surest_come_first() -> None:
    confidence = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8], [0.8, 0.2]])
    y = np.array([0, 0, 0, 0, 1])
    rows, classes, fallback = choose_anchors(confidence, y, TicalConfig(n_near=1, tau=0.5))
    assert rows[classes == 0].tolist() == [0, 2]  # 3 is told the other class, 1 is below the median
    assert rows[classes == 1].tolist() == [4]
    assert fallback == [1]  # its only sample is told the other class


def test_a_class_without_samples_is_far_and_nothing_is_nan() -> None:
    points = torch.zeros(3, 2)
    near = near_distances(points, points[:1], np.array([0]), 2, FLAT)
    assert near[:, 0].tolist() == [0, 0, 0]
    assert (near[:, 1] == 1e3).all()


def test_a_sample_is_not_its_own_anchor() -> None:
    z = torch.tensor([[0.0], [1.0], [3.0]])
    own = np.eye(3, dtype=bool)
    near = near_distances(z, z, np.zeros(3, dtype=int), 1, FLAT, own)
    assert near[:, 0].tolist() == [2.0, 1.5, 2.5]


def space(reference: list[float]) -> AnchorSpace:
    return AnchorSpace(
        torch.zeros(1, 1), np.array([0]), np.array([0]), np.zeros(1), 1.0, (np.sort(np.array(reference)),)
    )


@pytest.mark.parametrize(("distance", "expected"), [(10.0, 0.1), (0.0, 1.0)])
def test_typicality_is_a_rank_among_training_samples(distance: float, expected: float) -> None:
    reading = space([1.0, 2, 3, 4, 5, 6, 7, 8, 9]).read(torch.tensor([[distance]]), FLAT)
    assert reading.typicality[0] == pytest.approx(expected)


def test_confidence_in_sample_believes_labels_that_mean_nothing() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 30)), rng.integers(3, size=90)
    x[4] = np.nan
    told = {"in": in_sample(x, y, 4), "out": out_of_fold(x, y, 4, np.arange(90), folds=3)}
    hits = {name: (np.nan_to_num(p).argmax(axis=1) == y).mean() for name, p in told.items()}
    assert hits["in"] > hits["out"] + 0.2
    assert np.isnan(told["in"][4]).all()
    assert (told["in"][5:, 3] == 0).all()


def three_heaps(config: TicalConfig) -> tuple[AnchorSpace, torch.Tensor]:
    """Anchors among 120 points of three classes, of which the first 20 of each are told wrong or unsurely."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    z = torch.from_numpy(rng.normal(0, 0.1, (120, 2)) + np.array([[0, 0], [1, 0], [0, 1]])[y]).float()
    confidence = np.eye(3)[y] * np.linspace(0.4, 0.9, 120)[:, None] + 0.03
    rows, classes, _ = choose_anchors(confidence, y, config)
    return place_anchors(z, np.ones(120, dtype=bool), rows, classes, y, confidence, config), z


def test_temperature_is_the_number_that_is_asked_for() -> None:
    for bias in (True, False):
        settings = {"space": "euclidean", "n_near": 2, "prior_bias": bias}
        (sharp, z), (soft, _) = (three_heaps(TicalConfig(**settings, temperature=t)) for t in (0.1, 2.0))
        assert (sharp.temperature, soft.temperature) == pytest.approx((0.1, 2.0))
        config = TicalConfig(**settings)
        assert sharp.read(z, config).pseudo.max(axis=1).mean() > soft.read(z, config).pseudo.max(axis=1).mean() + 0.1


def test_the_only_sample_of_a_class_does_not_spoil_the_temperature() -> None:
    rng = np.random.default_rng(0)
    heaps = rng.normal(size=(2, 40, 2)) + np.array([[[0, 0]], [[9, 0]]])
    z = torch.from_numpy(np.concatenate([*heaps, [[4, 9]]]))
    y = np.repeat([0, 1, 2], [40, 40, 1])
    sure = np.eye(3)[y]
    rows, classes, _ = choose_anchors(sure, y, FLAT)
    told = place_anchors(z, np.ones(81, dtype=bool), rows, classes, y, sure, FLAT)
    without = rows < 80
    alone = place_anchors(z[:80], np.ones(80, dtype=bool), rows[without], classes[without], y[:80], sure[:80], FLAT)
    assert 0.2 < told.temperature / alone.temperature < 5  # it went to thousands


def test_typicality_among_anchors_is_a_rank_among_fewer() -> None:
    by_class, _ = three_heaps(FLAT)
    by_anchors, _ = three_heaps(FLAT.model_copy(update={"typicality_reference": "anchors"}))
    assert [len(scores) for scores in by_class.reference] == [40, 40, 40]
    assert [len(scores) for scores in by_anchors.reference] == [20, 20, 20]


def test_pseudo_labels_of_training_samples_follow_their_neighbours() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 40)
    z = torch.from_numpy(rng.normal(0, 0.1, (120, 2)) + np.array([[0, 0], [1, 0], [0, 1]])[y]).float()
    confidence = np.eye(3)[y] * 0.9 + 0.03
    rows, classes, fallback = choose_anchors(confidence, y, FLAT)
    placed = place_anchors(z, np.ones(120, dtype=bool), rows, classes, y, confidence, FLAT)
    reading = placed.read(z, FLAT, np.arange(120))
    assert (reading.pseudo.argmax(axis=1) == y).all()
    assert reading.pseudo.max(axis=1).mean() > 0.9
    assert fallback == []
    assert reading.typicality.mean() == pytest.approx(0.5, abs=0.1)
