"""Which pictures meet in one step of GRPO, and on which device (TATAR, section 6 of our spec).

A gathered set is what one optimiser step sees over all devices: half of it pictures of aesthetics, half of quality,
each half from one data set, so that whatever is ranked has others to be ranked against. A configuration that can't do
this is refused before the first step. The whole schedule is drawn beforehand, from the seed alone: a run that goes on
after a stop reads on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from beholder.errors import UserError
from beholder.task import TASKS, Task
from beholder.tatar.rewards import Preset

FEWEST_RANKED = 4
"""Pictures of a ranked task in a gathered set, at least."""


@dataclass(frozen=True)
class Pool:
    """The pictures of one data set that are drawn from."""

    name: str
    task: Task
    targets: tuple[float, ...]
    """0 to 100, one per picture."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Place:
    """One picture in a schedule."""

    pool: int
    """Index of its pool."""
    picture: int
    """Index in the pool."""


@dataclass(frozen=True)
class Layout:
    """How the completions of one optimiser step are spread."""

    pictures: int
    """In a gathered set, over all devices."""
    group: int
    """Completions per picture."""
    batch: int
    """Completions per device whose graph is in memory at once."""
    devices: int = 1

    @property
    def per_device(self) -> int:
        """Pictures on each device."""
        return self.pictures // self.devices

    @property
    def accumulation(self) -> int:
        """Batches per device and optimiser step."""
        return self.per_device * self.group // self.batch

    def tasks(self, pools: Sequence[Pool]) -> tuple[Task, ...]:
        """(pictures,) the task at each place of a gathered set; device i holds the i-th `per_device` of them."""
        present = [task for task in TASKS if any(pool.task == task for pool in pools)]
        if len(present) == 1:
            return (present[0],) * self.pictures
        half = self.pictures // 2
        return (TASKS[0],) * half + (TASKS[1],) * (self.pictures - half)


def check(layout: Layout, pools: Sequence[Pool], preset: Preset) -> None:
    """Raises UserError, saying why, where pictures can't be spread or what the preset ranks can't be ranked.

    A preset that compares within a device (`released_code`) is let through: it reproduces a run that did not rank.
    """
    _check_division(layout)
    tasks = layout.tasks(pools)
    for pool in pools:
        if len(pool) < tasks.count(pool.task):
            raise UserError(
                f"{pool.name} has {len(pool)} pictures, and a step takes {tasks.count(pool.task)} different ones of "
                f"{pool.task}; try pictures: {max(2, 2 * len(pool))} or a larger set"
            )
    if preset.scope == "device":
        return
    for task in dict.fromkeys(tasks):
        if preset.compares(task):
            _check_ranking(layout, tasks, task, [pool for pool in pools if pool.task == task])


def _check_division(layout: Layout) -> None:
    if layout.group < 2:
        raise UserError(
            f"group = {layout.group}; an advantage is a reward against those of the same picture, so 2 at least"
        )
    if layout.pictures % layout.devices:
        raise UserError(
            f"pictures = {layout.pictures} does not divide among {layout.devices} devices; "
            f"try {_next_multiple(layout.pictures, layout.devices)}"
        )
    share = layout.per_device * layout.group
    if share % layout.batch:
        raise UserError(
            f"batch = {layout.batch} does not divide the {share} completions of a device ({layout.per_device} pictures "
            f"x {layout.group}); try batch: {max(d for d in range(1, layout.batch + 1) if share % d == 0)}"
        )


def _check_ranking(layout: Layout, tasks: Sequence[Task], task: Task, pools: Sequence[Pool]) -> None:
    n = tasks.count(task)
    if n < FEWEST_RANKED:
        needed = FEWEST_RANKED * (1 if n == len(tasks) else 2)
        raise UserError(
            f"{task} is ranked, and {n} of the {layout.pictures} pictures of a step are of {task}; "
            f"{FEWEST_RANKED} at least are needed to rank. Try pictures: {_next_multiple(needed, layout.devices)}"
        )
    for pool in pools:
        if min(pool.targets) == max(pool.targets):
            raise UserError(
                f"{pool.name} can't be ranked: all its {len(pool)} pictures have the score {pool.targets[0]:g} of 100"
            )
    for device in range(layout.devices):
        here = tasks[device * layout.per_device : (device + 1) * layout.per_device].count(task)
        if here == 1:
            raise UserError(
                f"{task} is ranked, and device {device} would hold 1 picture of {task} in each step; every device that "
                f"holds any needs 2. Try pictures: {4 * layout.devices} on {layout.devices} devices, or fewer devices"
            )


def _next_multiple(least: int, of: int) -> int:
    return -(-least // of) * of


def schedule(layout: Layout, pools: Sequence[Pool], steps: int, seed: int) -> list[Place]:
    """(steps * pictures,) what every step sees, in order: the same for the same arguments, a prefix of a longer one.

    Each data set is gone through in a new random order again and again, each picture once before any is seen twice, and
    never twice in one gathered set. Data sets of one task take turns in proportion to their sizes.
    """
    tasks = layout.tasks(pools)
    turns = {task: _turns([i for i, pool in enumerate(pools) if pool.task == task], pools) for task in tasks}
    draws = {
        i: _draws(len(pool), tasks.count(pool.task), np.random.default_rng((seed, i))) for i, pool in enumerate(pools)
    }
    places = []
    for _ in range(steps):
        for task in dict.fromkeys(tasks):
            pool = next(turns[task])
            places += [Place(pool, picture) for picture in next(draws[pool])]
    return places


def _turns(indices: Sequence[int], pools: Sequence[Pool]) -> Iterator[int]:
    """Whose turn it is: always the one that is furthest behind its share."""
    total, taken, turn = sum(len(pools[i]) for i in indices), dict.fromkeys(indices, 0), 0
    while True:
        turn += 1
        behind = max(indices, key=lambda i: turn * len(pools[i]) / total - taken[i])
        taken[behind] += 1
        yield behind


def _draws(n: int, size: int, rng: np.random.Generator) -> Iterator[list[int]]:
    """`size` different ones of `n` at a time; what a new order shares with the rest of the old one comes last in it."""
    left: list[int] = []
    while True:
        if len(left) < size:
            fresh = rng.permutation(n).tolist()
            left += [i for i in fresh if i not in left] + [i for i in fresh if i in left]
        yield left[:size]
        left = left[size:]
