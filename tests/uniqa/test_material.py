from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from nano_uniqa import tiny_model, write_bright

from beholder.uniqa.config import ViewConfig
from beholder.uniqa.material import Material, predict


def test_encoded_and_decoded_pictures_score_alike(tmp_path: Path) -> None:
    manifest = write_bright(tmp_path / "set", "quality", ["train"] * 12)
    material = Material.of(manifest, ViewConfig(), keep=True)
    model = tiny_model()
    assert np.array_equal(predict(model, material), predict(model, material.encoded(model)))
    part = material.encoded(model).take(np.array([3, 1]))
    assert np.allclose(predict(model, part), predict(model, replace(part, grid=None)), atol=1e-6)


def test_a_random_view_is_a_window_of_its_picture(tmp_path: Path) -> None:
    material = Material.of(write_bright(tmp_path / "set", "quality", ["train"] * 2), ViewConfig())
    views = material.random_views(32)
    first, again, other = (views(1, np.random.default_rng(seed))[0] for seed in (0, 0, 1))
    assert first.shape == (32, 32, 3)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    windows = torch.from_numpy(material.crops[1]).unfold(0, 32, 1).unfold(1, 32, 1).permute(0, 1, 3, 4, 2)
    assert any(torch.equal(view, window) for view in (first, first.flip(1)) for window in windows.flatten(0, 1))
