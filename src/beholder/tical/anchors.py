"""Anchors: training samples that show their class surely, and what distances to them say about others.

Confidence is out of fold. With features that had seen the labels it would call nearly every sample an anchor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from torch import Tensor

from beholder.errors import UserError
from beholder.tical.config import TicalConfig
from beholder.tical.geometry import distances, midpoint, radius

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_FAR = 1e3  # of a class without anchors: finite, so that nothing becomes NaN, and never the nearest


@dataclass(frozen=True)
class Reading:
    """What anchors say about samples."""

    pseudo: Array
    """(n, K)."""
    typicality: Array
    """(n,) in (0, 1]."""


@dataclass(frozen=True)
class AnchorSpace:
    """The anchors of one modality as they lie at one moment of training; all that reading needs, no label."""

    points: Tensor
    """(a, d)."""
    rows: Rows
    """(a,) the training row of each anchor."""
    classes: Rows
    """(a,)."""
    bias: Array
    """(K,) b of q(k) = softmax(b_k - D_k / T)."""
    temperature: float
    reference: tuple[Array, ...]
    """Per class the sorted scores of training samples that show it, which typicality is a rank among."""
    means: Tensor | None = None
    """(K, d) of the training samples of each class, where typicality is measured from there."""

    def read(self, z: Tensor, config: TicalConfig, rows: Rows | None = None) -> Reading:
        """Pseudo labels and typicality of points (n, d).

        `rows` are the training rows of the points: then no sample is its own anchor, nor in its own reference.
        """
        near = near_distances(z, self.points, self.classes, len(self.bias), config, _own(rows, self.rows))
        pseudo = _softmax(self.bias - near / self.temperature)
        return Reading(pseudo, self.typicality(pseudo.argmax(axis=1), z, near, config, leave_out=rows is not None))

    def pull(self, z: Tensor, target: Tensor, rows: Rows, config: TicalConfig, curvature: Tensor | None) -> Tensor:
        """(n,): cross-entropy of softmax(-D / T) with the label, for training rows; lower nearer to its anchors."""
        own, n_classes = _own(rows, self.rows), len(self.bias)
        near = near_distances_to_learn(z, self.points.to(z.device), self.classes, n_classes, config, own, curvature)
        return -(target * torch.log_softmax(-near / self.temperature, dim=1)).sum(dim=1)

    def typicality(self, classes: Rows, z: Tensor, near: Array, config: TicalConfig, leave_out: bool = False) -> Array:
        """(1 + #{s_j >= s}) / (n + 1), with s the score of a sample under its class: the rank, from far to near."""
        if config.typicality == "none":
            return np.ones(len(classes))
        score = _scores(z, near, self.means, config)[np.arange(len(classes)), classes]
        out = np.empty(len(classes))
        for k, reference in enumerate(self.reference):
            mine = classes == k
            at_least = len(reference) - np.searchsorted(reference, score[mine], side="left")
            # Leaving a sample out of its own reference takes one from both counts, if it is in it at all.
            inside = np.isin(score[mine], reference) if leave_out else np.zeros(mine.sum(), dtype=bool)
            out[mine] = (1 + at_least - inside) / (len(reference) + 1 - inside)
        return out


def out_of_fold(x: Array, y: Rows, n_classes: int, groups: NDArray[np.generic], folds: int) -> Array:
    """(n, K) probabilities of a logistic regression that saw neither a row nor any other of its group.

    A class that a fold's training part lacks has probability 0. Rows of NaN stay NaN, as do all where fewer than two
    classes are left to learn from. Raises UserError for fewer groups than folds.
    """
    out = np.full((len(x), n_classes), np.nan)
    rows = np.flatnonzero(~np.isnan(x).any(axis=1))
    if (n_groups := len(np.unique(groups[rows]))) < folds:
        raise UserError(
            f"{n_groups} groups with this modality, and {folds} folds; inner_folds can be at most the number of groups"
        )
    for learn, tell in GroupKFold(folds).split(rows, groups=groups[rows]):
        learn, tell = rows[learn], rows[tell]
        if len(np.unique(y[learn])) < 2:
            continue
        model = LogisticRegression(max_iter=300).fit(x[learn], y[learn])
        out[tell] = 0.0
        out[np.ix_(tell, model.classes_)] = model.predict_proba(x[tell])
    return out


def in_sample(x: Array, y: Rows, n_classes: int) -> Array:
    """As `out_of_fold`, by one regression that saw every row."""
    out = np.full((len(x), n_classes), np.nan)
    rows = np.flatnonzero(~np.isnan(x).any(axis=1))
    if len(np.unique(y[rows])) > 1:
        model = LogisticRegression(max_iter=300).fit(x[rows], y[rows])
        out[rows] = 0.0
        out[np.ix_(rows, model.classes_)] = model.predict_proba(x[rows])
    return out


def choose_anchors(confidence: Array, y: Rows, config: TicalConfig) -> tuple[Rows, Rows, list[int]]:
    """Rows of the anchors, the class of each, and the classes that fell back to their most confident samples.

    An anchor of class k has label k, is told k out of fold, and is at least as sure as the tau-quantile of the samples
    of its class that are; the surest come first, at most `anchors_per_class`. A class with no more than `n_near` of
    them takes its most confident samples, whatever they are told.
    """
    rows, classes, fallback = [], [], []
    for k in range(confidence.shape[1]):
        own = np.flatnonzero((y == k) & ~np.isnan(confidence[:, k]))
        told = own[confidence[own].argmax(axis=1) == k] if len(own) else own
        sure = told[confidence[told, k] >= np.quantile(confidence[told, k], config.tau)] if len(told) else told
        if len(sure) <= config.n_near:
            fallback.append(k)
            sure = own[np.argsort(-confidence[own, k], kind="stable")[: config.n_near + 1]]
        best = sure[np.argsort(-confidence[sure, k], kind="stable")[: config.anchors_per_class]]
        rows.append(best)
        classes.append(np.full(len(best), k))
    return np.concatenate(rows), np.concatenate(classes), fallback


def place_anchors(
    z: Tensor, present: NDArray[np.bool_], rows: Rows, classes: Rows, y: Rows, confidence: Array, config: TicalConfig
) -> AnchorSpace:
    """Anchors where the training points (n, d) put them, with bias, temperature and reference scores fitted there."""
    n_classes = confidence.shape[1]
    near = near_distances(z, z[rows], classes, n_classes, config, _own(np.arange(len(z)), rows))
    # The only sample of a class is no anchor to itself: nothing is near it, and it would drive T to infinity.
    reached = present & (near[np.arange(len(y)), y] < _FAR)
    reached = reached if reached.any() else present
    bias, temperature = _fit_softmax(near[reached], y[reached], config)
    told = present & (np.nan_to_num(confidence, nan=-1.0).argmax(axis=1) == y)
    if config.typicality_reference == "anchors":
        told &= np.isin(np.arange(len(z)), rows)
    means = None
    if config.typicality == "frechet":
        each = [z[torch.from_numpy(present & (y == k))] for k in range(n_classes)]
        means = torch.stack([midpoint(own, config) if len(own) else z.new_zeros(z.shape[1]) for own in each])
    scores = _scores(z, near, means, config)
    reference = tuple(np.sort(scores[told & (y == k), k]) for k in range(n_classes))
    return AnchorSpace(z[rows], rows, classes, bias, temperature, reference, means)


def near_distances(
    z: Tensor, anchors: Tensor, classes: Rows, n_classes: int, config: TicalConfig, own: NDArray[np.bool_] | None = None
) -> Array:
    """D(i, k): mean distance of each point (n, d) to its `n_near` nearest anchors of each class, (n, K).

    `own` (n, a) marks anchors that are the point itself and do not count.
    """
    return near_distances_to_learn(z, anchors, classes, n_classes, config, own).double().numpy()


def near_distances_to_learn(
    z: Tensor,
    anchors: Tensor,
    classes: Rows,
    n_classes: int,
    config: TicalConfig,
    own: NDArray[np.bool_] | None = None,
    curvature: Tensor | None = None,
) -> Tensor:
    """`near_distances` with its gradient; `curvature` is c where it is being learned."""
    each = distances(z, anchors, config, curvature)
    if own is not None:
        each = each.masked_fill(torch.from_numpy(own).to(each.device), torch.inf)
    columns = []
    for k in range(n_classes):
        mine = each[:, torch.from_numpy(np.flatnonzero(classes == k)).to(each.device)]
        if not mine.shape[1]:
            columns.append(z.new_full((len(z),), _FAR))
            continue
        nearest = mine.topk(min(config.n_near, mine.shape[1]), dim=1, largest=False).values
        counted = nearest.isfinite()
        mean = nearest.masked_fill(~counted, 0.0).sum(dim=1) / counted.sum(dim=1).clamp_min(1)
        columns.append(torch.where(counted.any(dim=1), mean, _FAR))
    return torch.stack(columns, dim=1)


def _scores(z: Tensor, near: Array, means: Tensor | None, config: TicalConfig) -> Array:
    """(n, K): the higher, the less typical."""
    if means is not None:
        return distances(z, means, config).double().numpy()
    if config.typicality in ("radius_in", "radius_out"):
        away = radius(z, config).double().numpy()[:, None].repeat(near.shape[1], axis=1)
        return away if config.typicality == "radius_in" else -away
    return near


def _own(rows: Rows | None, anchors: Rows) -> NDArray[np.bool_] | None:
    return None if rows is None else rows[:, None] == anchors[None]


def _fit_softmax(near: Array, y: Rows, config: TicalConfig) -> tuple[Array, float]:
    """b and T of softmax(b - D / T), by the likelihood of the labels; T as it is where the settings say a number."""
    d, target = torch.from_numpy(near), torch.from_numpy(y)
    start = 0.0 if config.temperature == "fit" else math.log(config.temperature)
    log_temperature = torch.full((1,), start, dtype=torch.float64, requires_grad=config.temperature == "fit")
    bias = torch.zeros(near.shape[1], dtype=torch.float64, requires_grad=config.prior_bias)
    free = [parameter for parameter in (log_temperature, bias) if parameter.requires_grad]
    if not free:
        return bias.numpy(), float(log_temperature.exp())
    solver = torch.optim.LBFGS(free, max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        fit = torch.nn.functional.cross_entropy(bias - d * torch.exp(-log_temperature), target)
        out = fit + 1e-4 * ((bias**2).sum() + (log_temperature**2).sum())
        out.backward()  # type: ignore[no-untyped-call]
        return out

    solver.step(loss)  # type: ignore[no-untyped-call]
    return bias.detach().numpy(), float(log_temperature.detach().exp())


def _softmax(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    out: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return out
