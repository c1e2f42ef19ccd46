"""Rewards that compare completions of different pictures (TATAR, sections 7.2 to 7.4 of our spec).

Every function takes, per picture, the scores of its completions (0 to 100, None where there is none) and the picture's
target, and gives rewards in the same layout; which pictures may be compared is the caller's business. An unparsed
completion gets the lowest reward and counts for nothing else. float64 throughout, finite for any input; no state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, xlogy

Values = NDArray[np.float64]
Scores = Sequence[Sequence[float | None]]
Rewards = list[list[float]]
Rank = Callable[[Scores, Sequence[float]], Rewards]

Link = Literal["normal", "logistic"]

TAU = 0.136
"""Unit noise of `thurstone`: expit(1.702 x / TAU) is within 0.2 % of the released expit(x / 0.08)."""

_TARGET_SCALE, _CLOSENESS = 0.08, 0.12
_LEAST_NOISE = 1e-4
"""Variance of a difference between targets that people agreed on."""
_LEAST_SPREAD = 0.1
"""Floor of the entropy that targets leave to explain, so that near ties don't blow the reward up."""
_LINKS: dict[Link, Callable[[Values], Values]] = {"normal": ndtr, "logistic": lambda x: expit(1.702 * x)}


def thurstone(
    scores: Scores,
    targets: Sequence[float],
    *,
    stds: Sequence[float] | None = None,
    link: Link = "normal",
    close: bool = False,
) -> Rewards:
    """Our Thurstone reward, -1 to 1 (7.4): 1 is calibrated, 0 is uninformed, below 0 is worse than saying nothing.

    `stds`: standard deviation of what people gave each picture, 0 to 100; the more they differ, the less sure is the
    order to be learned. None takes the noise `TAU` for every pair. `close` weights pairs of near targets higher, as the
    released code does. With fewer than two comparable pictures, a parsed completion gets 0. Unparsed: -1.
    """
    groups, g = _groups(scores, targets)
    mean, variance = _moments(groups, ddof=1)
    noise = None if stds is None else np.square(np.asarray(stds, np.float64) / 100)
    F = _LINKS[link]
    rewards = _filled(scores, 0.0)
    for i, j in _rivals(groups):
        p_gt = F((g[i] - g[j]) / (TAU if noise is None else np.sqrt(noise[i] + noise[j] + _LEAST_NOISE)))
        p = F((groups[i][:, None] - mean[j]) / np.sqrt(variance[i] + variance[j] + TAU**2))
        w = _closeness(g[i] - g[j]) if close else np.full(len(j), 1 / len(j))
        loss, entropy = _cross_entropy(p_gt, np.clip(p, 1e-6, 1 - 1e-6)) @ w, _cross_entropy(p_gt, p_gt) @ w
        x = 1 - (loss - entropy) / max(np.log(2) - entropy, _LEAST_SPREAD)
        rewards[i] = np.where(x >= 0, x, x / (1 + np.abs(x)))
    return _laid_out(scores, rewards, unparsed=-1.0)


def thurstone_official(scores: Scores, targets: Sequence[float]) -> Rewards:
    """Thurstone completion ranking with the released constants, 0 to 1 (7.2); the paper's reward for aesthetics.

    0 for all with fewer than two comparable pictures; unparsed: 0.
    """
    groups, g = _groups(scores, targets)
    mean, variance = _moments(groups, ddof=0)
    rewards = _filled(scores, 0.0)
    for i, j in _rivals(groups):
        p_gt = expit((g[i] - g[j]) / _TARGET_SCALE)
        p = expit((groups[i][:, None] - mean[j]) / np.sqrt(variance[i] + variance[j] + 1e-6))
        loss = _cross_entropy(p_gt, np.clip(p, 1e-6, 1 - 1e-6)) @ _closeness(g[i] - g[j])
        rewards[i] = np.clip(1 + loss / np.log(1e-6), 0, 1)
    return _laid_out(scores, rewards, unparsed=0.0)


def rank_official(scores: Scores, targets: Sequence[float]) -> Rewards:
    """Each completion against every other one, its own picture's too, 0 to 1 (7.3): what the released run computes.

    Alone on its device a picture is compared with itself only, which rewards agreement with the group, not rank.
    0 for a completion without any other; unparsed: 0.
    """
    groups, g_of = _groups(scores, targets)
    p = np.concatenate([*groups, np.empty(0)])
    g = np.repeat(g_of, [len(group) for group in groups])
    rewards = np.zeros(len(p))
    if len(p) > 1:
        w = np.exp(-np.abs(g[:, None] - g) / _CLOSENESS)
        np.fill_diagonal(w, 0)
        q = np.clip(expit((p[:, None] - p) / _TARGET_SCALE), 1e-4, 1 - 1e-4)
        loss = (w * _cross_entropy(expit((g[:, None] - g) / _TARGET_SCALE), q)).sum(axis=1) / w.sum(axis=1)
        rewards = np.clip(1 + loss / np.log(1e-4), 0, 1)
    ends = np.cumsum([len(group) for group in groups])
    return _laid_out(scores, np.split(rewards, ends[:-1]), unparsed=0.0)


def n_comparable(scores: Scores) -> int:
    """Pictures with at least one parsed completion."""
    return sum(any(score is not None for score in group) for group in scores)


def _groups(scores: Scores, targets: Sequence[float]) -> tuple[list[Values], Values]:
    """Parsed scores per picture and targets, all on [0, 1]."""
    if len(scores) != len(targets):
        raise ValueError(f"{len(scores)} groups of scores and {len(targets)} targets; each picture needs one of each")
    parsed = [np.array([s for s in group if s is not None], np.float64) / 100 for group in scores]
    return parsed, np.asarray(targets, np.float64) / 100


def _moments(groups: Sequence[Values], ddof: int) -> tuple[Values, Values]:
    """Mean and variance of each group; the variance of a single score is 0, an empty group's mean is not used."""
    mean = np.array([group.mean() if len(group) else np.nan for group in groups])
    variance = np.array([group.var(ddof=ddof) if len(group) > ddof else 0.0 for group in groups])
    return mean, variance


def _rivals(groups: Sequence[Values]) -> list[tuple[int, NDArray[np.intp]]]:
    """Each comparable picture with the others it is compared to, where there are any."""
    comparable = np.array([i for i, group in enumerate(groups) if len(group)], np.intp)
    return [(int(i), comparable[comparable != i]) for i in comparable if len(comparable) > 1]


def _closeness(difference: Values) -> Values:
    """Weights that sum to 1, higher for nearer targets."""
    w = np.exp(-np.abs(difference) / _CLOSENESS)
    return np.asarray(w / w.sum())


def _cross_entropy(p: Values, q: Values) -> Values:
    return np.asarray(-(xlogy(p, q) + xlogy(1 - p, 1 - q)))


def _filled(scores: Scores, value: float) -> list[Values]:
    return [np.full(sum(score is not None for score in group), value) for group in scores]


def _laid_out(scores: Scores, rewards: Sequence[Values], unparsed: float) -> Rewards:
    """Rewards of parsed completions put back among the unparsed ones."""
    laid_out = []
    for group, found in zip(scores, rewards, strict=True):
        parsed = iter(found.tolist())
        laid_out.append([unparsed if score is None else next(parsed) for score in group])
    return laid_out
