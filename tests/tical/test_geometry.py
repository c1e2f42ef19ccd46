from __future__ import annotations

import subprocess
import sys

import geoopt
import pytest
import torch

from beholder.tical.config import TicalConfig
from beholder.tical.geometry import distances, lift, midpoint, radius


def test_nobody_is_told_what_geoopt_should_do() -> None:
    done = subprocess.run([sys.executable, "-c", "import beholder.tical.geometry"], capture_output=True, check=True)
    assert done.stderr == b""


def test_a_vector_is_lifted_to_where_the_equation_says() -> None:
    z = lift(torch.tensor([[0.6, 0.8]], dtype=torch.float64), TicalConfig())
    assert z[0].tolist() == pytest.approx([0.45696, 0.60928], abs=1e-5)
    assert radius(z, TicalConfig()).item() == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize(("c", "expected"), [(1.0, 1.08914), (0.5, 1.04305)])
def test_distances_are_those_of_the_poincare_ball(c: float, expected: float) -> None:
    x, y = (torch.tensor([p], dtype=torch.float64) for p in ((0.3, 0.0), (0.0, 0.4)))
    assert distances(x, y, TicalConfig(curvature=c)).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("c", [0.3, 1.0, 2.0])
def test_distances_agree_with_geoopt(c: float) -> None:
    config = TicalConfig(curvature=c)
    h = torch.randn(40, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.4
    z = lift(h, config)
    ours = distances(z[:20], z[20:], config)
    theirs = geoopt.PoincareBall(c=c).dist(z[:20, None], z[None, 20:])
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_euclidean_space_measures_plain_distances() -> None:
    config = TicalConfig(space="euclidean")
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    assert torch.equal(lift(x, config), x)
    assert distances(x, x, config).tolist() == [[0.0, 5.0], [5.0, 0.0]]


def test_gradients_are_finite_at_zero_and_at_the_rim() -> None:
    h = torch.tensor([[0.0, 0.0], [1e3, 0.0], [2.0, 0.0]], requires_grad=True)
    lift(h, TicalConfig()).sum().backward()
    assert h.grad is not None
    assert h.grad.isfinite().all()


@pytest.mark.parametrize("space", ["hyperbolic", "euclidean"])
def test_the_midpoint_lies_between(space: str) -> None:
    config = TicalConfig.model_validate({"space": space})
    z = torch.tensor([[0.1, 0.2], [0.7, -0.4]], dtype=torch.float64)
    middle = midpoint(z, config)[None]
    away = distances(middle, z, config)[0]
    assert away[0].item() == pytest.approx(away[1].item(), abs=1e-5)
    assert away.sum().item() == pytest.approx(distances(z[:1], z[1:], config).item(), abs=1e-5)


def test_the_midpoint_in_the_ball_is_einsteins() -> None:
    z = lift(torch.randn(30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), TicalConfig())
    klein = 2 * z / (1 + (z**2).sum(dim=1, keepdim=True))
    gamma = 1 / torch.sqrt(1 - (klein**2).sum(dim=1, keepdim=True))
    mean = (gamma * klein).sum(dim=0) / gamma.sum()
    expected = mean / (1 + torch.sqrt(1 - (mean**2).sum()))
    assert torch.allclose(midpoint(z, TicalConfig()), expected, atol=1e-5)
