from __future__ import annotations

import numpy as np
import pytest
import torch

from beholder.alignvar.gradients import gmsd
from beholder.evaluate import restoration


def test_it_is_the_measure_and_zero_for_equal_pictures() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 256, (3, 33, 40, 3), dtype=np.uint8)
    pred = (0.5 * true + 60).astype(np.uint8)
    signed = [torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1 for pictures in (pred, true)]
    expected = [restoration.gmsd(one, other) for one, other in zip(pred, true, strict=True)]
    assert gmsd(*signed).numpy() == pytest.approx(expected, abs=2e-3)
    assert gmsd(signed[1], signed[1]).numpy() == pytest.approx(0, abs=1e-6)


def test_a_dull_picture_that_follows_its_slope_gets_edges_as_strong_as_the_true_ones() -> None:
    true = -torch.ones(1, 3, 32, 32)
    true[..., 16:] = 1
    gain = torch.tensor(0.1, requires_grad=True)
    optimiser = torch.optim.Adam([gain], lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        gmsd(gain * true, true).sum().backward()
        optimiser.step()
    assert gain.item() == pytest.approx(1, abs=0.1)


def test_flat_pictures_have_a_finite_slope() -> None:
    flat = torch.zeros(1, 3, 16, 16, requires_grad=True)
    gmsd(flat, torch.zeros(1, 3, 16, 16)).sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
