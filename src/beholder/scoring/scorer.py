"""What every scoring model offers, whatever is inside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from beholder.imaging.fit import Fit
from beholder.scoring.card import Card
from beholder.task import Task

View = NDArray[np.uint8]
"""RGB, (height, width, 3), sRGB, 0-255: what a scorer sees of one picture."""

Levels = dict[Task, NDArray[np.float32]]
"""Per task the five level probabilities of one picture, worst to best."""


class Scorer(Protocol):
    """A model that turns views into level probabilities. The same view gives the same answer in any batch."""

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

    def infer(self, views: Sequence[View]) -> list[Levels]:
        """Level probabilities of each view, in order. Views may differ in size."""
        ...
