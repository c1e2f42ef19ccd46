import numpy as np
import pytest

from beholder.data.distortions import FAMILIES
from beholder.mini.config import PairsConfig
from beholder.mini.damage import draw_pairs, render

PRIORS = dict.fromkeys(FAMILIES, (1.0, 0.8, 0.6, 0.5, 0.3, 0.1))


def test_pairs_cover_every_family_and_ask_for_half_of_what_people_find():
    pairs = draw_pairs(7, PRIORS, PairsConfig(count=10 * len(FAMILIES)), seed=3)
    assert [pair.family for pair in pairs[: len(FAMILIES)]] == list(FAMILIES)
    assert {pair.picture for pair in pairs} == set(range(7))
    assert all(0 <= less < more <= 5 for less, more in (pair.levels for pair in pairs))
    assert all(0.01 < pair.margin <= 0.46 for pair in pairs)
    assert 0.3 < np.mean([pair.levels[0] == 0 for pair in pairs]) < 0.5
    assert pairs == draw_pairs(7, PRIORS, PairsConfig(count=10 * len(FAMILIES)), seed=3)
    assert pairs != draw_pairs(7, PRIORS, PairsConfig(count=10 * len(FAMILIES)), seed=4)


def test_a_family_that_opinions_hardly_punish_gets_its_least_margin():
    flat = PRIORS | {"overexpose": (0.9,) * 6}
    config = PairsConfig(count=20 * len(FAMILIES), least_margins={"overexpose": 0.02})
    for pair in draw_pairs(2, flat, config, seed=0):
        if pair.family == "overexpose":
            assert pair.margin == pytest.approx(max(0.01, 0.02 * (pair.levels[1] - pair.levels[0])))


def test_an_unknown_family_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="least_margins names glare; the families are blur"):
        PairsConfig(least_margins={"glare": 0.1})


def test_rendered_pairs_lead_with_the_less_damaged_picture(scenes):
    pairs = draw_pairs(len(scenes), PRIORS, PairsConfig(count=2 * len(FAMILIES)), seed=3)
    pictures = list(render(pairs, scenes))
    assert len(pictures) == 2 * len(pairs)
    for pair, first, second in zip(pairs, pictures[::2], pictures[1::2], strict=True):
        clean = scenes[pair.picture].astype(float)
        assert first.shape == second.shape == clean.shape
        assert not np.array_equal(first, second)
        if pair.levels[0] == 0:
            assert np.array_equal(first, clean)
        else:
            assert np.abs(first - clean).mean() < np.abs(second - clean).mean() + 1
