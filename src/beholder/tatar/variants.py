"""The rewards that runs are compared by: the presets, and what is left of ours when one idea is taken out (section 10).

The ablation grid itself, rows of SFT and GRPO settings, is `ablation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from beholder.task import TASKS, Task
from beholder.tatar.rewards import PRESETS, Completion, Preset, Reward, Term, gaussian, thurstone_by_raters, window

_OURS = PRESETS["beholder"]
_REST = _OURS.quality[1:]
_THURSTONE = _OURS.aesthetics[0]


FORMS: Mapping[str, Mapping[Task, Task]] = {
    "swapped": {"quality": "aesthetics", "aesthetics": "quality"},
    "all_fast": {"quality": "quality", "aesthetics": "quality"},
    "all_slow": {"quality": "aesthetics", "aesthetics": "aesthetics"},
}
"""Whose form the rationales of each task have, where it is not the task's own (`forms` writes them)."""


def length_as(forms: Mapping[Task, Task]) -> Reward:
    """Our length shaping for rationales that have the form of another task: with the window of that task."""

    def penalty(completions: Sequence[Completion]) -> list[float]:
        return [-1.0 if c.score is None else window(c.n_words, forms[c.task]) - 1 for c in completions]

    return penalty


def wide_gaussian(completions: Sequence[Completion]) -> list[float]:
    """Gaussian score reward of aesthetics, alpha 2 (7.1); unlike ranking it sees a bias that all share."""
    return [gaussian(c.score, c.target, 2.0) for c in completions]


def _without_length(terms: Sequence[Term]) -> tuple[Term, ...]:
    return tuple(term for term in terms if term.name != "length")


def _as(forms: Mapping[Task, Task], terms: Sequence[Term]) -> tuple[Term, ...]:
    return tuple(replace(term, reward=length_as(forms)) if term.name == "length" else term for term in terms)


def _each_task(changed: Callable[[Sequence[Term]], tuple[Term, ...]]) -> Preset:
    return replace(_OURS, quality=changed(_OURS.quality), aesthetics=changed(_OURS.aesthetics))


REWARDS: Mapping[str, Preset] = {
    **PRESETS,
    "score_only": replace(_OURS, aesthetics=(Term("gaussian", wide_gaussian), *_REST)),
    "rank_only": replace(_OURS, quality=(_THURSTONE, *_REST)),
    "anchored": replace(_OURS, aesthetics=(*_OURS.aesthetics, Term("anchor", wide_gaussian, weight=0.25))),
    "no_length": _each_task(_without_length),
    **{name: _each_task(partial(_as, forms)) for name, forms in FORMS.items()},
}
"""By the name that a recipe gives. `beholder` is the task-conditioned reward that the others are compared with."""


def ranks_as_ours(name: str) -> bool:
    """Whether a name's rewards hold `thurstone`, to which the options of section 7.4 belong."""
    return any(term.name == _THURSTONE.name for task in TASKS for term in REWARDS[name].terms(task))


def by_raters(preset: Preset) -> Preset:
    """The same rewards with the order of two pictures as sure as people agreed on them (`gt_noise: mos_std`)."""

    def changed(terms: Sequence[Term]) -> tuple[Term, ...]:
        return tuple(replace(t, reward=thurstone_by_raters) if t.name == _THURSTONE.name else t for t in terms)

    return replace(preset, quality=changed(preset.quality), aesthetics=changed(preset.aesthetics))
