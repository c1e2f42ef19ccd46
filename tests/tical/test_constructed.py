from __future__ import annotations

import numpy as np
import pytest

from beholder.errors import UserError
from beholder.tical.constructed import EMOTIONS, Collection, draw_groups, draw_samples


def collection(seed: int, n: int = 300) -> Collection:
    rng = np.random.default_rng(seed)
    label = EMOTIONS[np.arange(n) % len(EMOTIONS)]
    part = np.where(rng.random(n) < 0.5, "train", "test")
    return Collection(rng.normal(size=(n, 2)), label, np.arange(n), part)


COLLECTIONS = {m: collection(i) for i, m in enumerate(("voice", "face", "text"))}


def test_every_item_shows_what_is_said_and_is_of_the_part() -> None:
    drawn = draw_samples(COLLECTIONS, "test", 2000, 0.5, np.random.default_rng(0))
    for m, found in COLLECTIONS.items():
        assert (found.label[drawn.rows[m]] == drawn.shown[m]).all()
        assert set(found.part[drawn.rows[m]]) == {"test"}
        assert ((drawn.shown[m] != drawn.label) == (drawn.odd == m)).all()


def test_classes_and_conflicts_are_as_likely_as_asked() -> None:
    drawn = draw_samples(COLLECTIONS, "train", 6000, 0.3, np.random.default_rng(0))
    assert abs(drawn.conflict.mean() - 0.3) < 0.03
    shares = [(drawn.label == name).mean() for name in EMOTIONS]
    odd = [(drawn.odd == m).mean() for m in COLLECTIONS]
    assert max(shares) - min(shares) < 0.05
    assert max(odd) - min(odd) < 0.03
    assert not draw_samples(COLLECTIONS, "train", 500, 0.0, np.random.default_rng(0)).conflict.any()


def test_of_two_modalities_nobody_is_odd() -> None:
    two = {m: COLLECTIONS[m] for m in ("voice", "face")}
    with pytest.raises(UserError, match="three or more"):
        draw_samples(two, "train", 10, 0.5, np.random.default_rng(0))


def test_a_group_is_in_one_part_and_every_part_shows_every_class() -> None:
    speaker = np.repeat(np.arange(8), 12)
    label = np.where(speaker == 3, "N", EMOTIONS[np.tile(np.arange(12) % 6, 8)])
    for seed in range(20):
        part = draw_groups(label, speaker, (5, 1, 2), np.random.default_rng(seed))
        assert all(len(set(part[speaker == one])) == 1 for one in range(8))
        assert all(set(label[part == name]) == set(EMOTIONS) for name in ("train", "valid", "test"))
        assert part[speaker == 3][0] != "valid"
    with pytest.raises(UserError, match="every class in every part"):
        draw_groups(np.where(speaker < 7, "N", label), speaker, (5, 1, 2), np.random.default_rng(0))
