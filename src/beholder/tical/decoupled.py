"""A baseline after DMD (arXiv 2303.13802): what modalities share, apart from what each has by itself.

Our simplification, from a description of it. A linear map that all modalities use and one of each modality's own part
an embedding in two; in each of the two spaces every modality tells the class, and modalities teach each other along
directed edges of learned weight. With two modalities both edges are equally long, and stay equally heavy. It has the
encoders, budget and harness of the other arms.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from beholder.tical.config import TicalConfig

_WEIGHTS = {"rebuild": 0.1, "orthogonal": 0.01, "margin": 0.01, "teach_shared": 0.05, "teach_private": 0.05}
_MARGIN = 0.2


@dataclass(frozen=True)
class Parted:
    """One batch in two spaces. Lists are per modality."""

    h: list[Tensor]
    """(B, d) what was parted."""
    shared: list[Tensor]
    private: list[Tensor]
    rebuilt: list[Tensor]
    """(B, d) from both parts."""
    logits: dict[str, list[Tensor]]
    """`shared` and `private`: (B, K)."""
    edges: dict[str, Tensor]
    """`shared` and `private`: (B, M (M - 1)) that sum to 1, over `permutations` of two; 0 where one is missing."""

    @property
    def unimodal(self) -> list[Tensor]:
        """What each modality tells, both spaces together: (B, K)."""
        return [(s + p) / 2 for s, p in zip(self.logits["shared"], self.logits["private"], strict=True)]


class Decoupled(nn.Module):
    """M embeddings (B, d) to their parts, and to the input of the fused head (B, 2 M d + M)."""

    def __init__(self, m: int, config: TicalConfig, n_classes: int) -> None:
        super().__init__()
        d = config.embed_dim
        self.shared = nn.Linear(d, d)
        self.private = nn.ModuleList([nn.Linear(d, d) for _ in range(m)])
        self.rebuild = nn.ModuleList([nn.Linear(2 * d, d) for _ in range(m)])
        self.shared_head = nn.Linear(d, n_classes)
        self.private_heads = nn.ModuleList([nn.Linear(d, n_classes) for _ in range(m)])
        self.edge = nn.ModuleDict({space: nn.Linear(2 * d, 1) for space in ("shared", "private")})
        for parameter in self.edge.parameters():
            nn.init.zeros_(parameter)  # all teach equally at first
        self.gate = nn.Linear(2 * m * d, 2 * m * d)
        self.ways = list(permutations(range(m), 2))

    def part(self, h: list[Tensor], present: Tensor) -> Parted:
        """`present` (B, M) in {0, 1}."""
        shared = [self.shared(one) for one in h]
        private = [map_(one) for map_, one in zip(self.private, h, strict=True)]
        both = [torch.cat(pair, dim=1) for pair in zip(shared, private, strict=True)]
        logits = {
            "shared": [self.shared_head(one) for one in shared],
            "private": [head(one) for head, one in zip(self.private_heads, private, strict=True)],
        }
        edges = {
            space: self._weigh(space, parts, present) for space, parts in (("shared", shared), ("private", private))
        }
        rebuilt = [rebuild(one) for rebuild, one in zip(self.rebuild, both, strict=True)]
        return Parted(h, shared, private, rebuilt, logits, edges)

    def join(self, parted: Parted, present: Tensor) -> Tensor:
        """The gated parts of all modalities, 0 where one is missing, and which are present."""
        parts = [one * present[:, [i]] for space in (parted.shared, parted.private) for i, one in enumerate(space)]
        joined = torch.cat(parts, dim=1)
        return torch.cat([torch.sigmoid(self.gate(joined)) * joined, present], dim=1)

    def _weigh(self, space: str, parts: list[Tensor], present: Tensor) -> Tensor:
        if not self.ways:
            return present.new_zeros(len(present), 0)
        scores = torch.cat([self.edge[space](torch.cat([parts[i], parts[j]], dim=1)) for i, j in self.ways], dim=1)
        both = torch.stack([present[:, i] * present[:, j] for i, j in self.ways], dim=1)
        weights = torch.softmax(scores, dim=1) * both
        return weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-6)


def parted_losses(parted: Parted, y: Tensor, present: Tensor) -> dict[str, Tensor]:
    """Everything that is learned beside labels, weighted, by name.

    `rebuild`: squared distance of what both parts give back. `orthogonal`: squared cosine of the two parts.
    `margin`: in the shared space a sample is nearer to other modalities of its class than to its own modality of other
    classes, by cosines. `teach_<space>`: L1 from a modality's logits to those of one that teaches it, along the edges;
    the teacher is not moved. The last three are absent where there is one modality. `y` (B, K), `present` (B, M).
    """
    n = present.sum().clamp_min(1)

    def over_present(each: list[Tensor]) -> Tensor:
        return (torch.stack(each, dim=1) * present).sum() / n

    pairs = list(zip(parted.shared, parted.private, strict=True))
    found = {
        "rebuild": over_present([(a - b).square().mean(1) for a, b in zip(parted.h, parted.rebuilt, strict=True)]),
        "orthogonal": over_present([cosine_similarity(s, p, dim=1).square() for s, p in pairs]),
    }
    if len(pairs) > 1:
        found["margin"] = _margin(parted.shared, y, present)
        for space, logits in parted.logits.items():
            ways = permutations(logits, 2)
            apart = torch.stack([(student - teacher.detach()).abs().mean(1) for teacher, student in ways], dim=1)
            found[f"teach_{space}"] = (parted.edges[space] * apart).sum(dim=1).mean()
    return {name: _WEIGHTS[name] * loss for name, loss in found.items()}


def _margin(shared: list[Tensor], y: Tensor, present: Tensor) -> Tensor:
    points = normalize(torch.cat(shared), dim=1)
    modality = torch.arange(len(shared), device=y.device).repeat_interleave(len(y))
    label = y.argmax(dim=1).repeat(len(shared))
    here = present.T.flatten().bool()
    counted = here[:, None] & here[None]
    same_class, same_modality = label[:, None] == label[None], modality[:, None] == modality[None]
    near, far = counted & same_class & ~same_modality, counted & ~same_class & same_modality
    cosines = points @ points.T
    means = [(cosines * rows).sum(dim=1) / rows.sum(dim=1).clamp_min(1) for rows in (near, far)]
    known = near.any(dim=1) & far.any(dim=1)
    return (torch.relu(_MARGIN - means[0] + means[1]) * known).sum() / known.sum().clamp_min(1)
