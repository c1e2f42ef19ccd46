"""Embeddings in hyperbolic space (the Poincaré ball, by geoopt) or left where they are."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from beholder.tical.config import TicalConfig

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="`torch.jit.script` is deprecated")  # geoopt still decorates with it
    import geoopt
    from geoopt.manifolds.stereographic import math as ball

_BOUNDARY = 1e-5


def lift(h: Tensor, config: TicalConfig, curvature: Tensor | None = None) -> Tensor:
    """Tangent vectors (n, d) as points: clipped to r_max, then through the exponential map at the origin.

    z = tanh(sqrt(c) |h|) h / (sqrt(c) |h|), and 0 stays 0; the identity where the space is Euclidean.
    `curvature` is c where it is being learned.
    """
    if config.space == "euclidean":
        return h
    # The floor keeps the gradient at a zero vector finite.
    length = h.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    clipped = h * (config.r_max / length).clamp_max(1.0)
    if curvature is None:
        z: Tensor = geoopt.PoincareBall(c=config.curvature).to(h.device).expmap0(clipped)
    else:  # geoopt's manifold would cut c off from its gradient
        z = ball.project(ball.expmap0(clipped, k=-curvature), k=-curvature)
    return z


def distances(x: Tensor, y: Tensor, config: TicalConfig, curvature: Tensor | None = None) -> Tensor:
    """Between all points of `x` (n, d) and `y` (a, d): (n, a).

    arcosh(1 + 2c |x - y|^2 / ((1 - c |x|^2) (1 - c |y|^2))) / sqrt(c). geoopt's own distance wants a tensor of
    (n, a, d) for this; here it is one matrix product.
    """
    square = _squared_distances(x, y)
    if config.space == "euclidean":
        return _root(square)
    c = config.curvature if curvature is None else curvature
    room = [(1 - c * (p**2).sum(dim=1)).clamp_min(_BOUNDARY) for p in (x, y)]
    t = 2 * c * square / (room[0][:, None] * room[1][None])
    out: Tensor = torch.log1p(t + _root(t**2 + 2 * t)) / c**0.5
    return out


def radius(z: Tensor, config: TicalConfig) -> Tensor:
    """Distance of each point from the origin, (n,)."""
    return distances(z, torch.zeros(1, z.shape[1], dtype=z.dtype), config)[:, 0]


def midpoint(z: Tensor, config: TicalConfig) -> Tensor:
    """The mean of points (n, d), (d,): the Einstein midpoint in the ball."""
    if config.space == "euclidean":
        return z.mean(dim=0)
    out: Tensor = geoopt.PoincareBall(c=config.curvature).weighted_midpoint(z, reducedim=[0])
    return out


def _root(x: Tensor) -> Tensor:
    """The square root, with gradient 0 at 0, where its own is infinite."""
    zero = x == 0
    return x.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    product = x @ y.T
    return ((x**2).sum(dim=1)[:, None] + (y**2).sum(dim=1)[None] - 2 * product).clamp_min(0.0)
