"""The network: a head per modality, pairs of modalities, all of them; or one plain fusion, as baseline.

Perception: an encoder and a head per modality. Interaction: per pair what the two have in common, through a gate that
consistency opens. Integration: everything together. What gates and consistency are is computed outside (`fit`), and
carries no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from beholder.tical.config import TicalConfig

_TENSOR_WIDTH = 8


@dataclass(frozen=True)
class Output:
    """Logits of one batch."""

    fused: Tensor
    """(B, K)."""
    unimodal: list[Tensor]
    """Per modality (B, K)."""
    pairs: list[Tensor]
    """Per pair (B, K); none where the network is a plain fusion."""


class Network(nn.Module):
    """Features of M modalities to logits over K classes."""

    def __init__(self, config: TicalConfig, widths: Mapping[str, int], n_classes: int) -> None:
        super().__init__()
        self.config = config
        m, d = len(widths), config.embed_dim
        self.encoders = nn.ModuleList([_encoder(width, config) for width in widths.values()])
        self.heads = nn.ModuleList([nn.Linear(d, n_classes) for _ in widths])
        self.pair_index = list(combinations(range(m), 2))
        staged = config.stages == "network"
        n_pairs = len(self.pair_index) if staged else 0
        self.meetings = nn.ModuleList([nn.Linear(3 * d, d) for _ in range(n_pairs)])
        self.pair_heads = nn.ModuleList([nn.Linear(d, n_classes) for _ in range(n_pairs)])
        if staged:
            self.fuse: nn.Module = _mlp((m + 1) * d + m + 1, config, n_classes)
        elif config.fusion == "concat":
            self.fuse = _mlp(m * d + m, config, n_classes)
        elif config.fusion == "gated":
            self.fuse = nn.Linear(m * d + m, m)
        elif config.fusion == "tensor":
            self.squeeze = nn.ModuleList([nn.Linear(d, _TENSOR_WIDTH) for _ in widths])
            self.fuse = _mlp((_TENSOR_WIDTH + 1) ** m, config, n_classes)

    def embed(self, x: list[Tensor], present: Tensor) -> list[Tensor]:
        """Per modality (B, embed_dim), zero where it is missing by `present` (B, M) in {0, 1}."""
        return [encode(one) * present[:, [i]] for i, (encode, one) in enumerate(zip(self.encoders, x, strict=True))]

    def forward(self, x: list[Tensor], present: Tensor, gates: Tensor, consistency: Tensor) -> Output:
        """`x` per modality (B, d_m) without NaN, `gates` (B, P) over pairs, `consistency` (B,)."""
        h = self.embed(x, present)
        unimodal = [head(one) for head, one in zip(self.heads, h, strict=True)]
        if self.config.stages == "none":
            return Output(self._plain(h, unimodal, present), unimodal, [])
        met = [
            torch.relu(meet(torch.cat([h[i], h[j], h[i] * h[j]], dim=1)))
            for meet, (i, j) in zip(self.meetings, self.pair_index, strict=True)
        ]
        pairs = [head(v) for head, v in zip(self.pair_heads, met, strict=True)]
        shared = torch.zeros_like(h[0])
        for p, v in enumerate(met):
            shared = shared + gates[:, [p]] * v
        return Output(self.fuse(torch.cat([*h, shared, present, consistency[:, None]], dim=1)), unimodal, pairs)

    def _plain(self, h: list[Tensor], unimodal: list[Tensor], present: Tensor) -> Tensor:
        if self.config.fusion == "late":
            weight = present
        elif self.config.fusion == "gated":
            weight = torch.softmax(self.fuse(torch.cat([*h, present], dim=1)), dim=1) * present
        elif self.config.fusion == "tensor":
            outer = present.new_ones(len(present), 1)
            for squeeze, one in zip(self.squeeze, h, strict=True):
                with_one = torch.cat([squeeze(one), present.new_ones(len(one), 1)], dim=1)
                outer = (outer[:, :, None] * with_one[:, None]).flatten(1)
            return self.fuse(outer)  # type: ignore[no-any-return]
        else:
            return self.fuse(torch.cat([*h, present], dim=1))  # type: ignore[no-any-return]
        weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-6)
        return (torch.stack(unimodal, dim=1) * weight[:, :, None]).sum(dim=1)


def _encoder(width: int, config: TicalConfig) -> nn.Module:
    return _mlp(width, config, config.embed_dim)


def _mlp(width: int, config: TicalConfig, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, config.hidden), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.hidden, out)
    )
