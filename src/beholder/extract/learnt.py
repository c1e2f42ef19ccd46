"""What an extractor learns from the training part: arrays, words, facts. All that is saved of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Learnt:
    """Empty where an extractor learns nothing."""

    arrays: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    """A vocabulary in the order of columns."""
    facts: dict[str, str] = field(default_factory=dict)
    """What has to be the same again, such as the digest of a network's weights."""

    def rounded(self, kind: type[np.floating[Any]]) -> Learnt:
        """Arrays as numbers that `kind` can hold, so that what is used is what is saved."""
        return replace(self, arrays={name: a.astype(kind).astype(np.float64) for name, a in self.arrays.items()})
