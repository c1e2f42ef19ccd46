import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nano_uniqa import write_bright

from beholder.errors import UserError
from beholder.uniqa.holdout import draw_labels, hold_out, official_rows, random_rows, refuse_shared, shared_file, take

SPLITS = ["train"] * 20 + ["val"] * 5 + ["test"] * 5


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_bright(tmp_path_factory.mktemp("holdout") / "set", "quality", SPLITS)


@pytest.mark.parametrize("count", [1, 7, 50, 100])
def test_exactly_so_many_labels_are_drawn_and_a_seed_repeats_them(count: int) -> None:
    rows = draw_labels(100, count, seed=3)
    assert len(set(rows.tolist())) == count
    assert rows.min() >= 0
    assert rows.max() < 100
    assert np.array_equal(rows, draw_labels(100, count, seed=3))


def test_another_seed_draws_other_labels() -> None:
    assert not np.array_equal(draw_labels(100, 50, seed=3), draw_labels(100, 50, seed=4))


def test_more_labels_than_rows_are_refused() -> None:
    with pytest.raises(UserError, match="101 labels asked for; allowed are 1 to 100"):
        draw_labels(100, 101, seed=0)


def test_labels_never_come_from_the_test_part(manifest) -> None:
    known, test = official_rows(manifest)
    train = take(manifest, known)
    drawn = take(train, draw_labels(len(train), 25, seed=0))
    assert not set(drawn.column("path")) & set(take(manifest, test).column("path"))
    assert len(test) == 5


def test_a_random_split_repeats_and_covers_every_row_once(manifest) -> None:
    known, test = random_rows(manifest, 0.2, repeat=1, seed=5)
    assert sorted([*known, *test]) == list(range(30))
    again = random_rows(manifest, 0.2, repeat=1, seed=5)[1]
    other = random_rows(manifest, 0.2, repeat=2, seed=5)[1]
    assert np.array_equal(test, again)
    assert not np.array_equal(test, other)


def test_groups_are_held_out_whole(manifest) -> None:
    grouped = manifest.with_columns({"group": [f"g{i // 3}" for i in range(30)]})
    rest, held = hold_out(grouped, 0.2, seed=0)
    names = grouped.groups()
    assert not {names[row] for row in rest} & {names[row] for row in held}
    assert len(held) >= 3


def test_too_little_to_hold_out_is_refused_with_the_way_out(manifest) -> None:
    with pytest.raises(UserError, match="hold_out: 0"):
        hold_out(take(manifest, np.arange(4)), 0.1, seed=0)
    assert len(hold_out(manifest, 0.0, seed=0)[1]) == 0


def test_a_group_on_two_sides_is_refused(manifest) -> None:
    grouped = manifest.with_columns({"group": ["same", "same", *map(str, range(28))]})
    with pytest.raises(UserError, match="share the group 'same'"):
        refuse_shared({"validation": take(grouped, np.array([0])), "test": take(grouped, np.array([1]))})


def test_the_same_file_under_another_name_is_refused(manifest, tmp_path: Path) -> None:
    shutil.copy(manifest.paths()[0], tmp_path / "renamed.png")
    twin = take(manifest, np.array([1])).with_columns({"path": ["renamed.png"]})
    twin = replace(twin, image_root=tmp_path, name="other")
    with pytest.raises(UserError, match=r"validation and test share a picture: .*0.png is .*renamed.png"):
        refuse_shared({"validation": take(manifest, np.arange(3)), "test": twin})
    assert shared_file({"a": manifest.paths()[:3], "b": manifest.paths()[3:]}) is None
