"""How far modalities agree about one sample, and how much that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[str, str]

_KNOWN = 0.8


@dataclass(frozen=True)
class Consistency:
    """One value per sample; NaN where fewer than two modalities are present."""

    value: Array
    """(n,) in [0, 1]: the mean agreement of pairs weighted by typicality, drawn towards the training mean."""
    prior_share: Array
    """(n,) in (0, 1]: how much of the value is the training mean."""
    agreement: dict[Pair, Array]
    """Per pair (n,) in [0, 1]."""
    gate: dict[Pair, Array]
    """Per pair (n,): sqrt(t_m t_n) * agreement, 0 where one is missing."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether a sample's own modalities have a say in its value."""
        known: NDArray[np.bool_] = ~np.isnan(self.value) & (self.prior_share < _KNOWN)
        return known


def jensen_shannon(p: Array, q: Array) -> Array:
    """Divergence of distributions (n, K), in bits: 0 for equal ones, 1 for disjoint ones.

    >>> round(float(jensen_shannon(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]))[0]), 5)
    0.31128
    """
    middle = (p + q) / 2
    out: Array = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return out


def overlap(p: Array, q: Array) -> Array:
    """The chance that one class drawn from each of two distributions (n, K) is the same."""
    out: Array = (p * q).sum(axis=1)
    return out


def agree(p: Array, q: Array, kind: Literal["jsd", "overlap"]) -> Array:
    """Agreement of two pseudo labels (n, K), in [0, 1]."""
    return overlap(p, q) if kind == "overlap" else 1 - jensen_shannon(p, q)


def assess_consistency(
    pseudo: Mapping[str, Array],
    typicality: Mapping[str, Array],
    *,
    prior: float,
    eps: float,
    kind: Literal["jsd", "overlap"],
) -> Consistency:
    """C = (eps C0 + sum_{m<n} t_m t_n a_mn) / (eps + sum_{m<n} t_m t_n) over the pairs of modalities present.

    `pseudo` (n, K) and `typicality` (n,) per modality, rows of NaN where one is missing. Without the prior C0,
    typicality would cancel for two modalities, and two that are quite untypical would divide by 0.
    """
    n = len(next(iter(typicality.values())))
    agreement, gate = {}, {}
    weighted, weights, pairs = np.zeros(n), np.zeros(n), np.zeros(n)
    for first, second in combinations(pseudo, 2):
        agreement[first, second] = a = agree(pseudo[first], pseudo[second], kind)
        both = ~np.isnan(a)
        t = np.where(both, typicality[first] * typicality[second], 0.0)
        gate[first, second] = np.where(both, np.sqrt(t) * a, 0.0)
        weighted += np.where(both, t * a, 0.0)
        weights += t
        pairs += both
    value = np.where(pairs > 0, (eps * prior + weighted) / (eps + weights), np.nan)
    return Consistency(value, eps / (eps + weights), agreement, gate)


def _relative_entropy(p: Array, q: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p == 0, 0.0, p * np.log2(p / q))
    out: Array = terms.sum(axis=1)
    return out
