"""What is scored, and on which scale: tasks, levels and declared score ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Task = Literal["quality", "aesthetics"]
"""`quality`: technical quality (IQA). `aesthetics`: how beautiful people find it (IAA)."""

TASKS: tuple[Task, ...] = get_args(Task)

LEVELS = ("bad", "poor", "fair", "good", "perfect")
"""The five level words of UniQA (arXiv 2406.01069, section 2 of our spec), worst to best."""


@dataclass(frozen=True)
class ScoreRange:
    """The declared scale of a data set or model. Nothing in beholder guesses a scale from values."""

    low: float
    """Smallest value the scale allows."""
    high: float
    """Largest value the scale allows. Greater than `low`."""
    higher_is_better: bool = True
    """False for DMOS and other scales on which a lower number means a better picture."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(
                f"score range runs from {self.low:g} to {self.high:g}; the low end must be below the high end"
            )

    def to_unit(self, score: float) -> float:
        """Map a native score to [0, 1], higher is better. Values outside the range are not clipped."""
        unit = (score - self.low) / (self.high - self.low)
        return unit if self.higher_is_better else 1.0 - unit

    def from_unit(self, unit: float) -> float:
        """Inverse of `to_unit`."""
        share = unit if self.higher_is_better else 1.0 - unit
        return self.low + share * (self.high - self.low)


def level_of(unit: float) -> str:
    """Level word of a score in [0, 1]: five equal, left-closed bins (UniQA spec, section 2).

    >>> [level_of(u) for u in (0.0, 0.1999, 0.2, 0.799, 0.8, 1.0)]
    ['bad', 'bad', 'poor', 'good', 'perfect', 'perfect']
    """
    if not 0.0 <= unit <= 1.0:
        raise ValueError(f"unit score = {unit!r} is outside [0, 1]")
    return LEVELS[min(4, int(5 * unit + 1e-9))]
