"""The order in which SFT sees its pictures: tasks balanced, drawn once from the seed, whole optimiser steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from beholder.task import TASKS, Task

Form = Literal["reasons", "number", "level"]
"""What is learned of a picture: its rationale and score, its score alone, or its level word."""


@dataclass(frozen=True)
class Draw:
    """One place in the order."""

    example: int
    """Index of what is learned."""
    form: Form = "reasons"


def mix(
    tasks: Sequence[Task],
    *,
    batch: int,
    quality_share: float = 0.5,
    epochs: int = 1,
    think_dropout: Mapping[Task, float] | None = None,
    level_rows: float = 0.0,
    seed: int = 42,
) -> list[Draw]:
    """All draws of a run over examples of `tasks`, a multiple of `batch`; the same arguments give the same draws.

    At each place the task is drawn, quality with chance `quality_share`, then comes its next example: each task is gone
    through in a new random order again and again, until all its examples were seen `epochs` times. The last step is
    filled up in the same way. One task alone is all there is. `level_rows` is the share of draws for level words, which
    come in between, in an order of their own.
    """
    rng = np.random.default_rng((seed, 0))
    members = {task: [i for i, found in enumerate(tasks) if found == task] for task in TASKS}
    members = {task: indices for task, indices in members.items() if indices}
    left = {task: epochs * len(indices) for task, indices in members.items()}
    orders = {task: _endless(indices, (seed, 1 + TASKS.index(task))) for task, indices in members.items()}
    of_levels = {task: _endless(indices, (seed, 3 + TASKS.index(task))) for task, indices in members.items()}
    turns = np.random.default_rng((seed, 5))
    dropout = think_dropout or {}
    draws: list[Draw] = []
    while any(n > 0 for n in left.values()) or len(draws) % batch:
        task = next(iter(members))
        if len(members) > 1:
            task = "quality" if rng.random() < quality_share else "aesthetics"
        if turns.random() < level_rows:
            draws.append(Draw(next(of_levels[task]), "level"))
            continue
        left[task] -= 1
        draws.append(Draw(next(orders[task]), "number" if rng.random() < dropout.get(task, 0.0) else "reasons"))
    return draws


def _endless(indices: Sequence[int], seed: tuple[int, int]) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while True:
        for place in rng.permutation(len(indices)):
            yield indices[place]
