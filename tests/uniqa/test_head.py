"""Numbers of sections 3 to 5 of the UniQA spec."""

from math import log

import pytest
import torch
from torch import Tensor

from beholder.errors import UserError
from beholder.uniqa.head import LEVEL_VALUES, Adapter, level_logits, level_probabilities, level_score
from beholder.uniqa.prompts import ENSEMBLE, GROUPS, prompts_of

LEVELS = torch.tensor(LEVEL_VALUES)
SCALE_100 = torch.tensor(log(100.0))
COSINES = [
    [0.20, 0.21, 0.22, 0.24, 0.23],
    [0.18, 0.19, 0.22, 0.25, 0.24],
    [0.21, 0.22, 0.22, 0.21, 0.20],
    [0.19, 0.20, 0.22, 0.23, 0.25],
]
GROUP_SCORES = [0.809931, 0.843686, 0.523569, 0.955618]


def image() -> Tensor:
    return torch.tensor([[3.0, 0.0]], dtype=torch.float64)  # its length must not matter


def text_at(cosines: list[list[float]]) -> Tensor:
    """Text features at these cosines to `image()`, of any length."""
    cosine = torch.tensor(cosines, dtype=torch.float64)
    return 7 * torch.stack([cosine, (1 - cosine**2).sqrt()], dim=-1)


def test_probabilities_and_score_of_the_published_formula():
    probabilities = level_probabilities(image(), text_at(COSINES[:1]), SCALE_100)
    expected = torch.tensor([[0.011656, 0.031685, 0.086129, 0.636409, 0.234122]], dtype=torch.float64)
    torch.testing.assert_close(probabilities, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("cosines", "expected"), list(zip(COSINES, GROUP_SCORES, strict=True)))
def test_the_score_of_one_group(cosines, expected):
    score = level_score(image(), text_at([cosines]), SCALE_100, LEVELS.double())
    assert score.tolist() == pytest.approx([expected], abs=1e-6)


def test_an_ensemble_is_the_mean_of_its_group_scores():
    score = level_score(image(), text_at(COSINES), SCALE_100, LEVELS.double())
    assert score.tolist() == pytest.approx([0.783201], abs=1e-6)


def test_equal_cosines_are_fair():
    assert level_score(image(), text_at([[0.3] * 5]), SCALE_100, LEVELS.double()).tolist() == pytest.approx([0.6])


def test_logits_have_a_row_per_group():
    assert level_logits(image(), text_at(COSINES), SCALE_100)[0, 2].tolist() == pytest.approx([21, 22, 22, 21, 20])


def test_the_adapter_is_the_published_formula():
    torch.manual_seed(0)
    adapter = Adapter(6)
    feature = torch.randn(4, 6)
    first, second = adapter.first.weight, adapter.second.weight
    assert first.shape == (3, 6)
    expected = feature + (second @ (first @ feature.T).clamp(min=0)).clamp(min=0).T
    torch.testing.assert_close(adapter(feature), expected)


def test_an_adapter_starts_near_nothing_and_can_learn():
    torch.manual_seed(0)
    adapter = Adapter(512)
    feature = torch.randn(16, 512)
    change = adapter(feature) - feature
    assert 0 < change.norm() < 0.05 * feature.norm()
    change.sum().backward()
    assert adapter.first.weight.grad.norm() > 0
    assert adapter.second.weight.grad.norm() > 0


def test_every_group_has_five_prompts_and_the_published_four_are_word_for_word():
    assert all(len(set(group)) == 5 for group in GROUPS.values())
    assert [len(group) for group in prompts_of(ENSEMBLE)] == [5] * 4
    assert GROUPS["quality"] == tuple(f"{word} image" for word in ("bad", "poor", "fair", "good", "perfect"))
    assert GROUPS["noise"][3:] == ("noise-free image", "extremely noise-free image")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([], "no prompt group given"),
        (["sharpnes"], "no prompt group 'sharpnes'; allowed: quality, sharpness"),
        (["noise", "noise"], "one is named twice"),
    ],
)
def test_wrong_groups_end_in_one_clear_line(groups, message):
    with pytest.raises(UserError, match=message):
        prompts_of(groups)
