"""Positions: where each token of the sequence sits on one grid that all scales share, and rotary embedding by it.

The sequence is prefix (the LR picture), start token, then scales 2 to K; scale 1 is predicted at the start token.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BASE = 10_000.0


def levels(scales: tuple[int, ...]) -> Tensor:
    """int64 [T]: the level of each token, 0 for prefix and start, k - 1 for scale k."""
    counts = [scales[-1] ** 2 + 1] + [side * side for side in scales[1:]]
    return torch.repeat_interleave(torch.arange(len(scales), device="cpu"), torch.tensor(counts, device="cpu"))


def coordinates(scales: tuple[int, ...]) -> Tensor:
    """float32 [T, 2]: row and column of each token on the grid of the last scale, aligned at the top left."""
    last = scales[-1]
    grids = [_grid(last, last), torch.zeros(1, 2, device="cpu"), *(_grid(side, last) for side in scales[1:])]
    return torch.cat(grids)


def table(scales: tuple[int, ...], head_dim: int) -> Tensor:
    """float32 [2, T, head_dim / 2]: cosine and sine by token and pair of channels; half of the pairs turn by rows."""
    rates = _BASE ** (-4 * torch.arange(head_dim // 4, device="cpu") / head_dim)
    angles = (coordinates(scales)[:, :, None] * rates).flatten(1)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn adjacent pairs of channels of [B, heads, T, head_dim] by the rows of `table` for these tokens."""
    cosine, sine = turns.to(x.dtype)
    a, b = x.reshape(*x.shape[:-1], -1, 2).unbind(-1)
    return torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1).flatten(-2)


def _grid(side: int, last: int) -> Tensor:
    at = torch.arange(side, device="cpu") / side * last
    return torch.cartesian_prod(at, at).reshape(-1, 2)
