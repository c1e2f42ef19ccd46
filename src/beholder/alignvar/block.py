"""One block of the transformer: attention with normalised queries and keys, an MLP, with or without AdaLN.

The layout is VAR's (arXiv 2404.02905), so that its weights fit; see `var_weights`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.alignvar.config import TransformerConfig
from beholder.alignvar.rotary import rotate

EPS = 1e-6
MAX_LOG_SCALE = math.log(100)


@dataclass
class Cache:
    """Keys and values of the tokens that one layer has seen, each [B, heads, tokens, head_dim]."""

    keys: Tensor | None = None
    values: Tensor | None = None

    def extended(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Everything seen, these included; kept for the next call."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys, values
        return keys, values


class Attention(nn.Module):
    """Cosine attention with a learned temperature per head; biases on queries and values only."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.log_scale = nn.Parameter(torch.full((heads,), math.log(4)))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, turns: Tensor, level_sizes: Sequence[int], cache: Cache | None) -> Tensor:
        """[B, T, W] -> [B, T, W]. The T tokens are levels of these sizes, one after another; a token sees its own
        level, those before it, and all that is in the cache."""
        q, k, v = self.projected(x, turns)
        first = k.shape[2]
        if cache is not None:
            k, v = cache.extended(k, v)
        end, parts = k.shape[2] - first, []
        # Level by level, not all at once under a mask: what a mask would hide, two fifths of it all, is not computed.
        for queries in torch.split(q, list(level_sizes), dim=2):
            end += queries.shape[2]
            parts.append(F.scaled_dot_product_attention(queries, k[:, :, :end], v[:, :, :end], scale=1.0))
        return self.proj(torch.cat(parts, dim=2).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def projected(self, x: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries at their temperature, keys and values, [B, heads, T, head_dim] each; the first two turned."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q + self.q_bias, k, v + self.v_bias))
        temperature = self.log_scale.clamp_max(MAX_LOG_SCALE).exp()[:, None, None]
        q = rotate(F.normalize(q.float(), dim=-1) * temperature, turns).to(v.dtype)
        k = rotate(F.normalize(k.float(), dim=-1), turns).to(v.dtype)
        return q, k, v


class Block(nn.Module):
    """Attention, then the MLP, each around a skip."""

    def __init__(self, config: TransformerConfig, drop_path: float) -> None:
        super().__init__()
        width = config.width
        self.drop_path = drop_path
        self.norm1 = nn.LayerNorm(width, eps=EPS, elementwise_affine=not config.adaln)
        self.attention = Attention(width, config.heads)
        self.norm2 = nn.LayerNorm(width, eps=EPS, elementwise_affine=not config.adaln)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.modulation = nn.Linear(width, 6 * width) if config.adaln else None
        self._initialise(config)

    def forward(
        self, x: Tensor, condition: Tensor | None, turns: Tensor, level_sizes: Sequence[int], cache: Cache | None
    ) -> Tensor:
        """[B, T, W] -> [B, T, W]; `condition` [B, W] where there is AdaLN."""
        if self.modulation is None or condition is None:
            x = x + self._kept(self.attention(self.norm1(x), turns, level_sizes, cache))
            return x + self._kept(self.mlp(self.norm2(x)))
        gate1, gate2, scale1, scale2, shift1, shift2 = self.modulation(F.silu(condition))[:, None].chunk(6, dim=-1)
        x = x + self._kept(gate1 * self.attention(self.norm1(x) * (1 + scale1) + shift1, turns, level_sizes, cache))
        return x + self._kept(gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2))

    def _kept(self, branch: Tensor) -> Tensor:
        """Drop-path: in training a branch is left out for some samples, and the others make up for it."""
        if not self.training or self.drop_path == 0:
            return branch
        keep = 1 - self.drop_path
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(keep) / keep

    def _initialise(self, config: TransformerConfig) -> None:
        for linear in (self.attention.qkv, self.attention.proj, self.mlp[0], self.mlp[2], self.modulation):
            if linear is not None:
                init_linear(linear, config.width)
        for out in (self.attention.proj.weight, self.mlp[2].weight):
            out.data.mul_(1 / math.sqrt(2 * config.depth) if config.adaln else 0.0)  # type: ignore[union-attr,operator]
        if self.modulation is not None:
            rows = self.modulation.weight.data  # two gates, then scales and shifts
            rows[: 2 * config.width] *= 1e-4
            rows[2 * config.width :] *= 0.5


def init_linear(layer: nn.Module, width: int) -> None:
    """Normal weights of the standard deviation that VARSR takes, and no bias."""
    nn.init.trunc_normal_(layer.weight, std=math.sqrt(1 / width / 3))  # type: ignore[arg-type]
    if getattr(layer, "bias", None) is not None:
        nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
