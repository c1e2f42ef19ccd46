from collections import Counter

import pytest

from beholder.data.split import split_groups
from beholder.errors import UserError


def test_a_group_is_never_on_two_sides_and_row_order_does_not_matter():
    groups = [f"g{i % 40}" for i in range(400)]
    splits = split_groups(groups, salt="s")
    assert len(set(zip(groups, splits, strict=True))) == 40
    assert split_groups(groups[::-1], salt="s") == splits[::-1]
    assert split_groups(groups, salt="other") != splits


def test_shares_hold_inside_every_stratum():
    groups = [str(i) for i in range(1000)]
    strata = ["big" if i < 900 else "small" for i in range(1000)]
    counts = Counter(zip(strata, split_groups(groups, salt="s", strata=strata), strict=True))
    assert counts == {
        ("big", "train"): 630,
        ("big", "val"): 135,
        ("big", "test"): 135,
        ("small", "train"): 70,
        ("small", "val"): 15,
        ("small", "test"): 15,
    }


def test_a_split_is_the_same_in_every_release():
    # Stored results name these parts: a change here makes old and new numbers incomparable.
    found = split_groups(list("abcdefgh"), salt="demo", shares=(0.5, 0.25, 0.25))
    assert found == ["train", "val", "test", "train", "train", "test", "val", "train"]


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(UserError, match="sum to 1"):
        split_groups(["a"], salt="s", shares=shares)
