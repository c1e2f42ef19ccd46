import numpy as np
import pytest
import torch

from beholder.uniqa.views import enlarged, grid_of_array, grid_of_tensor, offsets


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (224, [0]),
        (225, [0, 1]),
        (384, [0, 160]),
        (500, [0, 138, 276]),
        (512, [0, 144, 288]),
        (1024, [0, 267, 533, 800]),
        (10_000, [0, 3259, 6517, 9776]),
    ],
)
def test_offsets_are_those_of_the_spec(length, expected):
    assert offsets(length) == expected


def test_views_reach_both_ends_of_every_side():
    for length in range(225, 1500, 7):
        found = offsets(length)
        assert found[0] == 0
        assert found[-1] + 224 == length


def test_a_side_that_holds_no_view_is_refused():
    with pytest.raises(ValueError, match="100 px holds no view of 224 px"):
        offsets(100)


@pytest.mark.parametrize("size", [(100, 80), (500, 333), (32, 64), (224, 224), (225, 224)])
def test_arrays_and_tensors_are_cut_alike(render_picture, size):
    rgb = np.asarray(render_picture(3, size))
    from_array = grid_of_array(rgb)
    from_tensor = grid_of_tensor(torch.from_numpy(rgb.copy()).permute(2, 0, 1)[None].float())[0]
    assert from_array.shape[1:] == (224, 224, 3)
    difference = np.abs(from_tensor.permute(0, 2, 3, 1).numpy() - from_array)
    assert difference.mean() < 1.5, "Pillow rounds and clips, torch does not"
    if min(size) >= 224:
        assert difference.max() == 0


def test_the_grid_runs_row_by_row():
    rgb = np.zeros((384, 512, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = np.arange(384)[:, None] // 2, np.arange(512)[None] // 2
    corners = grid_of_array(rgb)[:, 0, 0, :2].astype(int) * 2
    assert corners.tolist() == [[0, 0], [0, 144], [0, 288], [160, 0], [160, 144], [160, 288]]


def test_enlarging_keeps_the_ratio():
    assert enlarged(80, 100) == (224, 280)
    assert enlarged(32, 64) == (224, 448)
    assert enlarged(224, 300) == (224, 300)
