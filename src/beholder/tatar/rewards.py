"""Task-conditioned rewards of GRPO and the three presets (TATAR, section 7 of our spec).

Plain functions of what was read in completions: no model, no state, no dependence on how pictures lie on devices, but
for the preset that reproduces the released code. What a completion belongs to travels with it (`Completion`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from beholder.task import TASKS, Task
from beholder.tatar.ranking import Rank, Rewards, Scores, n_comparable, rank_official, thurstone, thurstone_official

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Completion:
    """One completion, as read, and what it is about."""

    task: Task
    dataset: str
    image: str
    """Unique in its data set; completions of one image are one group."""
    target: float
    """0 to 100, higher is better."""
    score: float | None
    """0 to 100, of `answer.read`; None where it found none."""
    n_words: int
    """Words of reasoning, of `answer.read`."""
    n_words_all: int
    """Whitespace-separated words of the whole completion, tags included."""
    device: int = 0
    """Which device wrote it: counts for the preset `released_code` alone."""
    target_std: float | None = None
    """Standard deviation of what people gave the picture, on the scale of `target`; None where it is not known."""


@dataclass(frozen=True)
class Window:
    """Lengths in words: 0 up to `a0`, rising to 1 at `a1`, 1 up to `b1`, falling to 0 at `b0`."""

    a0: float
    a1: float
    b1: float
    b0: float


WINDOWS: Mapping[Task, Window] = {"quality": Window(-1, 0, 60, 100), "aesthetics": Window(20, 80, 220, 320)}
"""Soft windows (7.5); quality has no lower end: 0 words is 1."""

MOST_QUALITY_WORDS, FEWEST_AESTHETICS_WORDS = 65, 125
"""Hard gates of the released code (7.5), on words of the whole completion."""

_SIGMA = 8.75 / math.sqrt(2 * math.log(2))
"""Half of the reward is left at a miss of 8.75 points (7.1)."""


def gaussian(score: float | None, target: float, alpha: float) -> float:
    """Gaussian score reward, 0 to 1 (7.1): 1 at the target, wider the further away by `alpha`; unparsed is 0.

    >>> round(gaussian(52, 50, alpha=0.8), 6)
    0.965526
    """
    if score is None:
        return 0.0
    d = abs(score - target)
    return math.exp(-(d**2) / (2 * (_SIGMA * (1 + alpha * d / 100)) ** 2))


def window(n_words: int, task: Task) -> float:
    """Soft length reward, 0 to 1 (7.5).

    >>> window(80, "quality"), window(50, "aesthetics")
    (0.5, 0.5)
    """
    w = WINDOWS[task]
    rising, falling = (n_words - w.a0) / (w.a1 - w.a0), (w.b0 - n_words) / (w.b0 - w.b1)
    return min(max(rising, 0.0), 1.0) * min(max(falling, 0.0), 1.0)


def gate(n_words_all: int, task: Task) -> float:
    """Hard length gate of the released code, 0 or 1 (7.5)."""
    if task == "quality":
        return float(n_words_all <= MOST_QUALITY_WORDS)
    return float(n_words_all >= FEWEST_AESTHETICS_WORDS)


Reward = Callable[[Sequence[Completion]], Sequence[float]]
"""Rewards of completions of one task that may be compared with each other, in their order."""


def quality_gaussian(completions: Sequence[Completion]) -> list[float]:
    """Gaussian score reward of quality, alpha 0.8."""
    return [gaussian(c.score, c.target, 0.8) for c in completions]


def aesthetics_gaussian(completions: Sequence[Completion]) -> list[float]:
    """The released code's Gaussian of aesthetics, alpha 2, times 1.5 and at most 1."""
    return [min(1.0, 1.5 * gaussian(c.score, c.target, 2.0)) for c in completions]


def well_formed(completions: Sequence[Completion]) -> list[float]:
    """1 where the strict reader found a score, else 0 (7.6)."""
    return [float(c.score is not None) for c in completions]


def length_penalty(completions: Sequence[Completion]) -> list[float]:
    """`window` less 1: 0 for a fitting length, -1 for a hopeless one and for what can't be read."""
    return [-1.0 if c.score is None else window(c.n_words, c.task) - 1 for c in completions]


def ranked(rank: Rank) -> Reward:
    """A ranking reward over completions that lie in any order: grouped by picture, compared, put back."""
    return _grouped(lambda scores, pictures: rank(scores, [picture.target for picture in pictures]))


def _by_raters(scores: Scores, pictures: Sequence[Completion]) -> Rewards:
    stds = [picture.target_std for picture in pictures if picture.target_std is not None]
    if len(stds) < len(pictures):
        raise ValueError(f"{len(pictures) - len(stds)} of {len(pictures)} pictures have no target_std")
    return thurstone(scores, [picture.target for picture in pictures], stds=stds)


def thurstone_by_raters(completions: Sequence[Completion]) -> Sequence[float]:
    """`thurstone` where a pair's order is as sure as people agreed on both. Raises ValueError without `target_std`."""
    return _grouped(_by_raters)(completions)


def _grouped(rank: Callable[[Scores, Sequence[Completion]], Rewards]) -> Reward:
    """`rank` is given the scores per picture, and one completion of each picture for what is known of it."""

    def reward(completions: Sequence[Completion]) -> list[float]:
        groups = by_picture(completions)
        pictures = [_one(completions, members) for members in groups]
        rewards = rank([[completions[i].score for i in members] for members in groups], pictures)
        found = [0.0] * len(completions)
        for members, values in zip(groups, rewards, strict=True):
            for i, value in zip(members, values, strict=True):
                found[i] = value
        return found

    return reward


Scope = Literal["all", "dataset", "device"]
"""Which completions of a task are compared: all gathered ones, those of one data set, those of one device."""


@dataclass(frozen=True)
class Term:
    """One summand of a total."""

    name: str
    reward: Reward
    weight: float = 1.0
    gated: bool = False
    """Multiplied by `gate`."""
    compares: bool = False
    """Says nothing about a picture without others of its task to compare it with."""


@dataclass(frozen=True)
class Preset:
    """What each task is rewarded for: totals are the sums of these terms."""

    quality: tuple[Term, ...]
    aesthetics: tuple[Term, ...]
    scope: Scope
    require_reasons: bool = False
    """Whether a completion without reasons counts as unparsed; else the think block is optional."""

    def terms(self, task: Task) -> tuple[Term, ...]:
        """The terms of a task."""
        return self.quality if task == "quality" else self.aesthetics

    def compares(self, task: Task) -> bool:
        """Whether completions about different pictures of a task are compared with each other."""
        return any(term.compares for term in self.terms(task))


_FORMAT = Term("format", well_formed)
_OURS = (Term("format", well_formed, weight=0.5), Term("length", length_penalty, weight=0.25))

PRESETS: Mapping[str, Preset] = {
    "paper": Preset(
        quality=(Term("gaussian", quality_gaussian, gated=True), _FORMAT),
        aesthetics=(Term("thurstone_official", ranked(thurstone_official), gated=True, compares=True), _FORMAT),
        scope="all",
    ),
    "released_code": Preset(
        quality=(Term("gaussian", quality_gaussian, gated=True), _FORMAT),
        aesthetics=(
            Term("gaussian", aesthetics_gaussian, gated=True),
            Term("rank_official", ranked(rank_official), compares=True),
            _FORMAT,
        ),
        scope="device",
    ),
    "beholder": Preset(
        quality=(Term("gaussian", quality_gaussian), *_OURS),
        aesthetics=(Term("thurstone", ranked(thurstone), compares=True), *_OURS),
        scope="dataset",
        require_reasons=True,  # a bare number is easier to get right in form, so it would drive out reasons
    ),
}
"""Table 7.7. Unparsed completions get the least total a preset can give: 0, or -0.25 and -1.25 under `beholder`."""


@dataclass(frozen=True)
class Rewarded:
    """Rewards of a gathered set of completions, each in their order."""

    total: Values
    """(n,) sums of `terms`."""
    terms: Mapping[str, Values] = field(default_factory=dict)
    """(n,) what each term adds, weighted and gated; NaN where the completion's task has no such term."""
    rank_undefined: int = 0
    """Parsed completions of a task that is ranked without a second picture to be compared with."""


def reward(completions: Sequence[Completion], preset: Preset, earlier: Sequence[Completion] = ()) -> Rewarded:
    """Rewards of all completions that were gathered from all devices, of both tasks, in any order.

    `earlier` ones get no reward, but terms that compare pictures compare with them too, where they are about others.
    Raises `ValueError` where completions of one picture disagree about its target.
    """
    n = len(completions)
    names = dict.fromkeys(term.name for task in TASKS for term in preset.terms(task))
    terms = {name: np.full(n, np.nan) for name in names}
    undefined = 0
    present = {(c.dataset, c.image) for c in completions}
    rivals = [c for c in earlier if (c.dataset, c.image) not in present]  # a picture is not its own rival
    beside = _scopes(rivals, preset.scope)
    for scope, members in _scopes(completions, preset.scope).items():
        task, among = scope[0], [completions[i] for i in members]
        compared = [*among, *(rivals[i] for i in beside.get(scope, ()))]
        gates = np.array([gate(c.n_words_all, c.task) for c in among])
        for term in preset.terms(task):
            values = term.weight * np.asarray(term.reward(compared)[: len(among)], np.float64)
            terms[term.name][members] = values * gates if term.gated else values
        groups = [[compared[i].score for i in group] for group in by_picture(compared)]
        if preset.compares(task) and n_comparable(groups) < 2:
            undefined += sum(c.score is not None for c in among)
    total = np.nansum(np.array(list(terms.values())).reshape(len(terms), n), axis=0)
    return Rewarded(total, terms, undefined)


def _scopes(completions: Sequence[Completion], scope: Scope) -> dict[tuple[Task, object], list[int]]:
    key: dict[Scope, Callable[[Completion], object]] = {
        "all": lambda _: None,
        "dataset": lambda c: c.dataset,
        "device": lambda c: c.device,
    }
    found: dict[tuple[Task, object], list[int]] = {}
    for i, completion in enumerate(completions):
        found.setdefault((completion.task, key[scope](completion)), []).append(i)
    return found


def by_picture(completions: Sequence[Completion]) -> list[list[int]]:
    """Places of the completions of each picture, in the order of the first of each."""
    found: dict[tuple[str, str], list[int]] = {}
    for i, completion in enumerate(completions):
        found.setdefault((completion.dataset, completion.image), []).append(i)
    return list(found.values())


def _one(completions: Sequence[Completion], members: Sequence[int]) -> Completion:
    first, *others = {completions[i].target for i in members}
    if others:
        name = completions[members[0]].image
        raise ValueError(f"completions of {name!r} have several targets: {sorted([first, *others])}")
    return completions[members[0]]
