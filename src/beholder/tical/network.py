"""The network: a head per modality, pairs of modalities, all of them; or one plain fusion, as baseline.

Perception: an encoder and a head per modality. Interaction: per pair what the two have in common, through a gate that
consistency opens. Integration: everything together. What gates and consistency are is computed outside (`fit`), and
carries no gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor, nn

from beholder.errors import UserError
from beholder.tical.config import TicalConfig
from beholder.tical.decoupled import Decoupled, Parted
from beholder.tical.encoders import encoder, perceptron
from beholder.tical.geometry import distances, lift
from beholder.tical.inputs import Kind
from beholder.tical.levels import level_values

_STAGES = 3
_TENSOR_WIDTH = 8
_CURVATURES = (0.1, 10.0)


@dataclass(frozen=True)
class Output:
    """Logits of one batch."""

    fused: Tensor
    """(B, K); of regression (B, 1), the number itself."""
    unimodal: list[Tensor]
    """Per modality (B, K)."""
    pairs: list[Tensor]
    """Per pair (B, K); none where the network is a plain fusion."""
    parted: Parted | None = None
    """Where the fusion is `decoupled`."""
    h: list[Tensor] = field(default_factory=list)
    """Per modality (B, embed_dim), the embeddings themselves."""


class Network(nn.Module):
    """Features of M modalities to logits over K classes; of regression to one number, and classes on the way."""

    cuts: Tensor
    """(2,) of `stages="groups"`: where thirds of the training part meet by consistency; NaN before it is known."""

    def __init__(self, config: TicalConfig, kinds: Mapping[str, Kind], n_classes: int) -> None:
        super().__init__()
        self.config = config
        m, d = len(kinds), config.embed_dim
        self.encoders = nn.ModuleList([encoder(kind, config) for kind in kinds.values()])
        if config.encoder == "pooled" and not any(kind.is_sequence for kind in kinds.values()):
            raise UserError("setting encoder = 'pooled' is about sequences, and no modality has steps; leave it out")
        staged = config.stages != "none"
        self.decoupled = Decoupled(m, config, n_classes) if not staged and config.fusion == "decoupled" else None
        self.log_curvature = nn.Parameter(torch.tensor(math.log(config.curvature))) if config.learn_curvature else None
        head = _Prototypes if config.head == "distance" else nn.Linear
        self.heads = nn.ModuleList([head(d, n_classes) for _ in kinds if not self.decoupled])
        self.pair_index = list(combinations(range(m), 2))
        n_pairs = len(self.pair_index) if staged else 0
        self.meetings = nn.ModuleList([nn.Linear(3 * d, d) for _ in range(n_pairs)])
        self.pair_heads = nn.ModuleList([nn.Linear(d, n_classes) for _ in range(n_pairs)])
        if config.stages == "groups":
            self.register_buffer("cuts", torch.full((2,), torch.nan))
        if staged:
            self.fuse: nn.Module = _answer((m + 1) * d + m + 1, config, n_classes)
        elif self.decoupled:
            self.fuse = _answer(2 * m * d + m, config, n_classes)
        elif config.fusion == "concat":
            self.fuse = _answer(m * d + m, config, n_classes)
        elif config.fusion == "gated":
            self.fuse = nn.Linear(m * d + m, m)
        elif config.fusion == "tensor":
            self.squeeze = nn.ModuleList([nn.Linear(d, _TENSOR_WIDTH) for _ in kinds])
            self.fuse = _answer((_TENSOR_WIDTH + 1) ** m, config, n_classes)

    @property
    def curvature(self) -> Tensor | None:
        """c with its gradient, where it is learned."""
        return None if self.log_curvature is None else self.log_curvature.exp().clamp(*_CURVATURES)

    @property
    def measured(self) -> TicalConfig:
        """The config, with c as it is now: what distances without a gradient are measured by."""
        c = self.curvature
        return self.config if c is None else self.config.model_copy(update={"curvature": c.item()})

    def embed(self, x: list[Tensor], present: Tensor) -> list[Tensor]:
        """Per modality (B, embed_dim), zero where it is missing by `present` (B, M) in {0, 1}."""
        return [encode(one) * present[:, [i]] for i, (encode, one) in enumerate(zip(self.encoders, x, strict=True))]

    def tell(self, h: list[Tensor], present: Tensor) -> list[Tensor]:
        """What each modality tells by itself, of embeddings: per modality (B, K)."""
        if self.decoupled:
            return self.decoupled.part(h, present).unimodal
        if self.config.head == "linear":
            return [head(one) for head, one in zip(self.heads, h, strict=True)]
        return [head(one, self.config, self.curvature) for head, one in zip(self.heads, h, strict=True)]

    def forward(
        self, x: list[Tensor], present: Tensor, gates: Tensor, consistency: Tensor, typicality: Tensor
    ) -> Output:
        """`x` per modality (B, d_m) without NaN, or (B, t, d_m) with NaN where there is no step; `gates` (B, P) over
        pairs, `consistency` (B,), `typicality` (B, M)."""
        h = self.embed(x, present)
        if self.decoupled:
            parted = self.decoupled.part(h, present)
            return Output(self.fuse(self.decoupled.join(parted, present)), parted.unimodal, [], parted, h)
        unimodal = self.tell(h, present)
        if self.config.stages == "none":
            return Output(self._plain(h, unimodal, present), unimodal, [], h=h)
        met = [
            torch.relu(meet(torch.cat([h[i], h[j], h[i] * h[j]], dim=1)))
            for meet, (i, j) in zip(self.meetings, self.pair_index, strict=True)
        ]
        pairs = [head(v) for head, v in zip(self.pair_heads, met, strict=True)]
        shared = torch.zeros_like(h[0])
        for p, v in enumerate(met):
            shared = shared + gates[:, [p]] * v
        fused = self.fuse(torch.cat([*h, shared, present, consistency[:, None]], dim=1))
        if self.config.stages == "groups":
            fused = self._by_consistency(fused, unimodal, pairs, present, consistency, typicality)
        return Output(fused, unimodal, pairs, h=h)

    def _by_consistency(
        self,
        fused: Tensor,
        unimodal: list[Tensor],
        pairs: list[Tensor],
        present: Tensor,
        consistency: Tensor,
        typicality: Tensor,
    ) -> Tensor:
        """The three stages, each with the more weight the deeper a sample lies in its third."""
        both = [present[:, i] * present[:, j] for i, j in self.pair_index]
        one = self._mean(unimodal, typicality * present)
        if not both:
            two, meets = torch.zeros_like(one), present.new_zeros(len(present))
        else:
            weights = torch.stack(both, dim=1)
            two, meets = self._mean(pairs, weights), weights.amax(dim=1)
        share = stage_shares(consistency, self.cuts)
        alone = share[:, 0] + share[:, 1] * (1 - meets)
        return alone[:, None] * one + (share[:, 1] * meets)[:, None] * two + share[:, [2]] * fused

    def _mean(self, logits: list[Tensor], weight: Tensor) -> Tensor:
        """Logits, or of regression the numbers they mean, averaged by `weight` (B, len(logits))."""
        told = [expected(one, self.config) for one in logits] if self.config.task == "regression" else logits
        share = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-6)
        return (torch.stack(told, dim=1) * share[:, :, None]).sum(dim=1)

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
        return self._mean(unimodal, weight)


class _Prototypes(nn.Module):
    """A point per class, as tangent vectors (K, embed_dim)."""

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.tangent = nn.Parameter(torch.randn(n_classes, width) / width**0.5)

    def forward(self, h: Tensor, config: TicalConfig, curvature: Tensor | None) -> Tensor:
        """Logits (B, K): minus the distance to each."""
        z, prototypes = (lift(one, config, curvature) for one in (h, self.tangent))
        return -distances(z, prototypes, config, curvature)


class _Number(nn.Module):
    """From about 0 and 1 to the scale of the labels, so that one learning rate suits all scales."""

    def __init__(self, config: TicalConfig) -> None:
        super().__init__()
        values = level_values(config.label_edges)
        self.middle, self.step = float(values.mean()), float((values[-1] - values[0]) / (len(values) - 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.middle + self.step * x


def stage_shares(consistency: Tensor, cuts: Tensor) -> Tensor:
    """(B, 3) that sum to 1: how much a sample of some consistency (B,) is told by each stage.

    `cuts` (2,) are where thirds of the training part meet; equal shares while they are NaN. Across a cut one share
    falls and the next rises, over about half the distance between the cuts.
    """
    if cuts.isnan().any():
        return consistency.new_full((len(consistency), _STAGES), 1 / _STAGES)
    slope = 8 / (cuts[1] - cuts[0]).clamp_min(1e-3)
    low, high = torch.sigmoid((cuts[0] - consistency) * slope), torch.sigmoid((consistency - cuts[1]) * slope)
    return torch.stack([low, 1 - low - high, high], dim=1)


def expected(logits: Tensor, config: TicalConfig) -> Tensor:
    """The expected value of the classes of a number, (B, K) to (B, 1)."""
    values = torch.from_numpy(level_values(config.label_edges)).to(logits)
    return torch.softmax(logits, dim=1) @ values[:, None]


def _answer(width: int, config: TicalConfig, n_classes: int) -> nn.Module:
    if config.task == "regression":
        return nn.Sequential(perceptron(width, config, 1), _Number(config))
    return perceptron(width, config, n_classes)
