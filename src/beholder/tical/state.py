"""All that a fit leaves behind, and what it says about samples: pseudo labels, typicality, consistency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beholder.tical.anchors import AnchorSpace, Rows
from beholder.tical.attribution import Attribution
from beholder.tical.config import TicalConfig
from beholder.tical.consistency import Consistency, assess_consistency
from beholder.tical.geometry import distances, lift
from beholder.tical.inputs import missing, pooled
from beholder.tical.network import Network, Output

Array = NDArray[np.float64]

FIRST_PRIOR = 0.5
"""C0 before any consistency was seen."""

_PART = 64


@dataclass(frozen=True)
class Reference:
    """What pseudo labels and consistency are read from, as it stands at one moment of training."""

    anchors: dict[str, AnchorSpace]
    """Per modality; none where the configuration does not read them."""
    attribution: Attribution | None
    prior: float
    """C0: the mean consistency of the training part."""


@dataclass(frozen=True)
class Assessment:
    """What is known of samples beside the prediction."""

    pseudo: dict[str, Array]
    """Per modality (n, K); NaN where it is missing."""
    typicality: dict[str, Array]
    """Per modality (n,) in (0, 1]; NaN where it is missing."""
    consistency: Consistency


def tensors(x: Mapping[str, Array]) -> tuple[list[Tensor], Tensor]:
    """Standardised features for the network, vectors with 0 where missing, sequences as they are; presence (n, M)."""
    present = np.stack([~missing(values) for values in x.values()], axis=1)
    given = [torch.from_numpy(v if v.ndim == 3 else np.nan_to_num(v)).float() for v in x.values()]
    return given, torch.from_numpy(present).float()


@torch.no_grad()
def embed(network: Network, x: Mapping[str, Array]) -> tuple[dict[str, Tensor], dict[str, Array]]:
    """Per modality the points (n, embed_dim) in the space of anchors, and the head's probabilities (n, K)."""
    network.eval()
    given, present = tensors(x)
    place = _device(network)
    parts = [network.embed([one[rows].to(place) for one in given], present[rows].to(place)) for rows in _parts(given)]
    h = [torch.cat(one) for one in zip(*parts, strict=True)]
    points = {m: lift(one.cpu(), network.measured) for m, one in zip(x, h, strict=True)}
    heads = [torch.softmax(one, dim=1).double().cpu().numpy() for one in network.tell(h, present.to(place))]
    return points, dict(zip(x, heads, strict=True))


def assess(network: Network, reference: Reference, x: Mapping[str, Array], rows: Rows | None = None) -> Assessment:
    """Pseudo labels, typicality, consistency of standardised samples; `rows` for training samples (leave one out)."""
    config = network.measured
    points, heads = embed(network, x)
    attributed = reference.attribution.heads(pooled(x)) if reference.attribution else {}
    pseudo, typicality = {}, {}
    for m in x:
        absent = missing(x[m])
        space = reference.anchors.get(m)
        reading = space.read(points[m], config, rows) if space else None
        if config.pseudo_source == "anchors" and reading:
            q = reading.pseudo
        elif config.pseudo_source == "blend" and reading:
            q = np.sqrt(reading.pseudo * heads[m])
            q = q / q.sum(axis=1, keepdims=True)
        else:
            q = attributed.get(m, heads[m])
        t = reading.typicality if reading else np.ones(len(absent))
        pseudo[m] = np.where(absent[:, None], np.nan, q)
        typicality[m] = np.where(absent, np.nan, t)
    return Assessment(
        pseudo,
        typicality,
        assess_consistency(pseudo, typicality, prior=reference.prior, eps=config.eps, kind=config.agreement),
    )


def nearest_anchors(network: Network, reference: Reference, x: Mapping[str, Array], most: int = 3) -> dict[str, Rows]:
    """Per modality that has anchors the places of the `most` nearest, nearest first: (n, most), or fewer columns where
    there are fewer anchors. Of a sample that lacks the modality they mean nothing."""
    points, _ = embed(network, x)
    out = {}
    for m, space in reference.anchors.items():
        away = distances(points[m], space.points, network.measured)
        out[m] = away.topk(min(most, len(space.points)), dim=1, largest=False).indices.numpy()
    return out


def conditions(found: Assessment, prior: float, config: TicalConfig) -> tuple[Tensor, Tensor, Tensor]:
    """What the network takes beside features: gates (n, P), consistency (n,), C0 where it is not known, and
    typicality (n, M). Where anchors are never refreshed, what it took when it learned: nothing that they say."""
    gates = found.consistency.gate
    n = len(found.consistency.value)
    stacked = np.stack(list(gates.values()), axis=1) if gates else np.zeros((n, 0))
    value = np.nan_to_num(found.consistency.value, nan=prior)
    if config.anchor_refresh == "never":
        absent = np.stack([missing(q) for q in found.pseudo.values()], axis=1)
        both = [~absent[:, i] & ~absent[:, j] for i, j in combinations(range(absent.shape[1]), 2)]
        stacked = FIRST_PRIOR * np.array(both, np.float64).reshape(-1, n).T
        value = np.full(n, FIRST_PRIOR)
    typicality = np.nan_to_num(np.stack(list(found.typicality.values()), axis=1), nan=1.0)
    return torch.from_numpy(stacked).float(), torch.from_numpy(value).float(), torch.from_numpy(typicality).float()


@torch.no_grad()
def forward(network: Network, x: Mapping[str, Array], found: Assessment, prior: float) -> Output:
    """The network's logits for standardised samples."""
    network.eval()
    given, present = tensors(x)
    told = conditions(found, prior, network.config)
    place = _device(network)
    parts: list[Output] = [
        network([one[rows].to(place) for one in given], *(one[rows].to(place) for one in (present, *told)))
        for rows in _parts(given)
    ]
    return Output(
        torch.cat([part.fused for part in parts]).cpu(),
        [torch.cat(one).cpu() for one in zip(*(part.unimodal for part in parts), strict=True)],
        [torch.cat(one).cpu() for one in zip(*(part.pairs for part in parts), strict=True)],
    )


def _device(network: Network) -> torch.device:
    """Where the network is: with `device="cuda"` on the GPU while it is trained."""
    return next(network.parameters()).device


def _parts(given: list[Tensor]) -> Iterator[slice]:
    """Vectors go through all at once; sequences in parts, as attention takes memory by the square of their steps."""
    n = len(given[0])
    size = _PART if any(one.ndim == 3 for one in given) else n
    yield from (slice(start, start + size) for start in range(0, n, size))
