import pytest
import torch

from beholder.mini.levels import correlation_loss, expected, level_loss, level_targets, order_loss


def test_level_targets_keep_the_score_exactly_on_the_two_nearest_levels():
    unit = torch.linspace(0, 1, 41)
    targets = level_targets(unit)
    torch.testing.assert_close(targets @ torch.linspace(0, 1, 5), unit)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(41))
    assert ((targets > 1e-6).sum(dim=1) <= 2).all()


def test_level_loss_is_cross_entropy_to_the_targets():
    logits = torch.tensor([[0.0, 3.0, 0, 0, 0], [0, 0, 0, 3.0, 0]])
    told = -logits.log_softmax(dim=1)[[0, 1], [1, 3]].mean()
    torch.testing.assert_close(level_loss(logits, torch.tensor([0.25, 0.75])), told)


@pytest.mark.parametrize("loss", [level_loss, correlation_loss])
def test_both_losses_prefer_the_right_order(loss):
    unit = torch.linspace(0.1, 0.9, 6)
    logits = (level_targets(unit) + 0.05).log()
    assert loss(logits, unit) < loss(logits[[1, 0, 2, 3, 4, 5]], unit) < loss(logits.flip(0), unit)


def test_correlation_does_not_care_for_scale_but_for_there_being_any():
    unit = torch.linspace(0, 1, 64)
    sharp, dull = ((level_targets(unit) + floor).log() for floor in (0.05, 0.3))
    assert correlation_loss(sharp, unit) == pytest.approx(float(correlation_loss(dull, unit)), abs=0.1)
    assert correlation_loss(torch.zeros(64, 5), unit) == pytest.approx(1.0)


def test_order_loss_is_what_is_missing_to_the_margin():
    better, worse = torch.tensor([0.0, 0, 0, 0, 50]), torch.tensor([0.0, 0, 50, 0, 0])
    pairs = torch.stack([torch.stack([better, worse]), torch.stack([worse, better])])
    missing = order_loss(pairs, torch.tensor([0.3, 0.3]))
    torch.testing.assert_close(missing, torch.tensor((0.0 + 0.8) / 2))


def test_expected_is_the_mean_level():
    torch.testing.assert_close(expected(torch.zeros(1, 5)), torch.tensor([0.5]))
    torch.testing.assert_close(expected(torch.tensor([[0.0, 0, 0, 0, 50]])), torch.tensor([1.0]))
