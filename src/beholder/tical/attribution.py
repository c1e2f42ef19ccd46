"""Whose emotion is the label? Unimodal labels from shared ones, under the assumption that a label follows a modality.

A head that is trained on the shared label learns what people will say about the whole sample, not what this modality
shows: where a neutral voice goes with a happy face, the label is happy, and the voice's head learns to call such
voices happy. Here each modality m shows an emotion of its own, e_m, and where e_m and e_n differ, the label is one of
the two. For a pair of modalities, with q_m(k) = P(e_m = k | x_m) and

    w_mn(k, l) = P(label follows m | e_m = k, e_n = l),
    P(y | x) = q_m(y) * sum_l q_n(l) w_mn(y, l) + q_n(y) * sum_k q_m(k) (1 - w_mn(k, y)),

the heads and the tables of all pairs are fitted together by the likelihood of the label, which no longer asks every
modality to show it. With more than two modalities the likelihoods of all pairs present are averaged (a composite
likelihood). With one modality the label is its emotion, and this is logistic regression.

What labels cannot tell: of a modality that the label never follows, nothing says which of its classes is which.

Not in the paper, as far as its abstract tells; our answer to what its pseudo unimodal labels are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
Pair = tuple[str, str]

_FLOOR = 1e-9
_TABLE_RIDGE = 1e-3
_SHARED_RIDGE = 1e-3


@dataclass(frozen=True)
class Attribution:
    """Fitted heads, and who wins where two modalities disagree."""

    weight: dict[str, Array]
    """Per modality (d, K)."""
    bias: dict[str, Array]
    """Per modality (K,)."""
    follows_first: dict[Pair, Array]
    """Per pair (m, n): (K, K) in [0, 1], the chance that the label follows m where m shows k and n shows l."""

    def heads(self, x: Mapping[str, Array]) -> dict[str, Array]:
        """P(e_m = k | x_m) of each modality, (n, K) float64; a row of NaN where the modality is missing."""
        return {m: _softmax(np.asarray(x[m], np.float64) @ self.weight[m] + self.bias[m]) for m in self.weight}

    def label(self, x: Mapping[str, Array]) -> Array:
        """P(y | x), (n, K): the mean over the pairs that are present; the one head where only one is."""
        heads = {m: torch.from_numpy(q) for m, q in self.heads(x).items()}
        each = [explain(heads[m], heads[n], torch.from_numpy(w)).numpy() for (m, n), w in self.follows_first.items()]
        alone = np.stack([q.numpy() for q in heads.values()])
        pairs = np.stack(each) if each else alone[:1]
        return np.where(np.isnan(pairs).all(axis=(0, 2))[:, None], _mean(alone), _mean(pairs))

    def posterior(self, x: Mapping[str, Array], y: Array) -> dict[str, Array]:
        """P(e_m = k | x, y) for training rows with soft labels `y` (n, K): what each modality showed, given the label.

        Averaged over the pairs a modality is in; its head where no partner is present. This is the target that stage 1
        learns from: (1 - r) q + r y with r the chance that the label followed the modality.
        """
        heads = self.heads(x)
        found: dict[str, list[Array]] = {m: [] for m in heads}
        for (m, n), w in self.follows_first.items():
            for modality, shown in zip((m, n), _pair_posterior(heads[m], heads[n], w, y), strict=True):
                found[modality].append(shown)
        out = {}
        for m, head in heads.items():
            mean = _mean(np.stack(found[m])) if found[m] else np.asarray(y, np.float64)
            out[m] = np.where(np.isnan(mean) & ~np.isnan(head), head, mean)
        return out


def explain(first: Tensor, second: Tensor, follows_first: Tensor) -> Tensor:
    """P(y | x) of one pair, (n, K): the equation at the head of this module."""
    return first * (second @ follows_first.T) + second * (first @ (1 - follows_first))


def fit_attribution(x: Mapping[str, Array], y: Array, *, ridge: float, steps: int = 100) -> Attribution:
    """Heads and tables for features `x` (per modality (n, d), NaN rows where missing) and soft labels `y` (n, K).

    Features should have a common scale. `ridge` is the penalty on the squared distance of the weights from those of
    heads that learn the shared label. A penalty on the weights themselves would have a lazy optimum: one modality
    explains every label, and the other's head says nothing. L-BFGS in float64 from nothing random: the same data give
    the same fit.
    """
    modalities = list(x)
    target = torch.from_numpy(np.asarray(y, np.float64))
    given = {m: torch.from_numpy(np.asarray(x[m], np.float64)) for m in modalities}
    present = {m: ~given[m].isnan().any(dim=1) for m in modalities}
    shared = {m: _shared_head(given[m][present[m]], target[present[m]], steps) for m in modalities}
    weight, bias = ({m: head[part].clone() for m, head in shared.items()} for part in (0, 1))
    tables = {pair: target.new_zeros(y.shape[1], y.shape[1]) for pair in combinations(modalities, 2)}

    def loss() -> Tensor:
        away = [((weight[m] - shared[m][0]) ** 2).sum() for m in modalities]
        total = ridge * torch.stack(away).sum()
        for (m, n), table in tables.items():
            both = present[m] & present[n]
            if both.any():
                first, second = (torch.softmax(given[o][both] @ weight[o] + bias[o], dim=1) for o in (m, n))
                fit = _cross_entropy(explain(first, second, torch.sigmoid(table)), target[both])
                total = total + fit / len(tables) + _TABLE_RIDGE * (table**2).sum()
        return total

    if tables:
        _minimize(loss, [*weight.values(), *bias.values(), *tables.values()], steps)
    return Attribution(
        {m: w.detach().numpy() for m, w in weight.items()},
        {m: b.detach().numpy() for m, b in bias.items()},
        {pair: torch.sigmoid(table.detach()).numpy() for pair, table in tables.items()},
    )


def _shared_head(x: Tensor, y: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Weights (d, K) and bias (K,) of a softmax regression on the shared label."""
    weight, bias = x.new_zeros(x.shape[1], y.shape[1]), x.new_zeros(y.shape[1])
    if len(x):
        _minimize(
            lambda: _cross_entropy(torch.softmax(x @ weight + bias, dim=1), y) + _SHARED_RIDGE * (weight**2).sum(),
            [weight, bias],
            steps,
        )
    return weight.detach(), bias.detach()


def _minimize(loss: Callable[[], Tensor], free: list[Tensor], steps: int) -> None:
    for parameter in free:
        parameter.requires_grad_(True)
    solver = torch.optim.LBFGS(free, max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(closure)  # type: ignore[no-untyped-call]


def _cross_entropy(prob: Tensor, target: Tensor) -> Tensor:
    return -(target * torch.log(prob + _FLOOR)).sum(dim=1).mean()


def _pair_posterior(first: Array, second: Array, follows_first: Array, y: Array) -> tuple[Array, Array]:
    """P(e_m | x, y) and P(e_n | x, y) for a soft label: the expectation of the posteriors of its classes."""
    by_first = first * (second @ follows_first.T)  # P(y = k, label follows m)
    by_second = second * (first @ (1 - follows_first))
    odds = y / (by_first + by_second + _FLOOR)
    # Where the label k followed m, m shows k; where it followed n, m shows l in proportion to q_m(l) (1 - w(l, k)).
    shown_first = odds * by_first + first * ((odds * second) @ (1 - follows_first).T)
    shown_second = odds * by_second + second * ((odds * first) @ follows_first)
    return shown_first, shown_second


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    out: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return out


def _mean(stack: Array) -> Array:
    """Mean over the first axis of what is not NaN; NaN where all is."""
    known = ~np.isnan(stack)
    with np.errstate(invalid="ignore"):
        out: Array = np.where(known, stack, 0).sum(axis=0) / known.sum(axis=0)
    return out
