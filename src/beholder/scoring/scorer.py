"""What every scoring model offers, whatever is inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from beholder.imaging.fit import Fit
from beholder.scoring.card import Card
from beholder.task import Task

View = NDArray[np.uint8]
"""RGB, (height, width, 3), sRGB, 0-255: what a scorer sees of one picture."""


@dataclass(frozen=True)
class Verdict:
    """What a model says of one picture in one task: a score, or why it gave none."""

    score: float | None
    """0 to 100, higher is better; None where `failure` says why."""
    levels: tuple[float, ...] | None = None
    """Probability of bad, poor, fair, good, perfect; None from a model that names a number."""
    reason: str | None = None
    """The model's own words; None from a model that has none or was not asked for them."""
    failure: str | None = None
    """Why its answer is no score, in words."""


Verdicts = dict[Task, Verdict]
"""Of one picture, by task."""


class Scorer(Protocol):
    """A model that judges views. The same view gets the same verdict in any batch."""

    @property
    def card(self) -> Card:
        """Who the model is: ranges, preprocessing, training data, measured accuracy, licence."""
        ...

    @property
    def fit(self) -> Fit:
        """How large it looks at a picture."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, for the summary line, e.g. `cpu`."""
        ...

    def infer(self, views: Sequence[View], tasks: Sequence[Task]) -> list[Verdicts]:
        """Verdicts of each view on each of `tasks`, all of them on the card, in order. Views may differ in size."""
        ...
