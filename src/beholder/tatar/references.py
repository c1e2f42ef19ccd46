"""Pictures of the last steps, to rank those of a step against too (`reference_queue`, section 7.4 of our spec).

One GPU sees few pictures in a step, so its ranking rewards are noisy; what the model said of others shortly before is
nearly what it would say now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from beholder.tatar.rewards import Completion, Preset, by_picture

MOST_AGE = 4
"""Steps for which a picture is kept."""


class References:
    """The latest `size` ranked pictures with all their completions."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.kept: list[tuple[int, list[Completion]]] = []
        """Step and completions of each picture, oldest first."""

    def of(self, step: int) -> list[Completion]:
        """What the completions of a step may be compared with."""
        return [c for age, group in self.kept if 0 < step - age <= MOST_AGE for c in group]

    def add(self, step: int, completions: Sequence[Completion], preset: Preset) -> None:
        """Keep the pictures of a step that the preset compares, in place of the oldest."""
        ranked = [c for c in completions if preset.compares(c.task)]
        groups = [(step, [ranked[i] for i in places]) for places in by_picture(ranked)]
        recent = [(age, group) for age, group in self.kept if step - age < MOST_AGE]
        self.kept = [*recent, *groups][-self.size :] if self.size else []

    def written(self) -> list[Any]:
        """What a checkpoint keeps, so that a run that goes on gives the rewards it would have given: plain JSON."""
        return [[step, [asdict(completion) for completion in group]] for step, group in self.kept]

    def restore(self, written: Sequence[Any]) -> None:
        """Take back what `written` gave."""
        self.kept = [(step, [Completion(**fields) for fields in group]) for step, group in written]
