"""The five level words weighed after the sentence that leads to them (section 9 of our spec); nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.task import LEVELS, Task
from beholder.tatar.answer import LEVEL_PREFIX
from beholder.tatar.number import tokens_after

VALUES = np.linspace(0.0, 100.0, len(LEVELS))
"""(5,) the score of each level, worst to best."""


@dataclass(frozen=True)
class LevelTokens:
    """How a tokenizer cuts the level words, each of which may be several tokens."""

    words: tuple[tuple[int, ...], ...]
    """Per level, worst to best, its tokens after the leading sentence."""

    @classmethod
    def of(cls, tokenizer: Any, task: Task) -> LevelTokens:
        """The level words of a tokenizer. Raises `UserError` where one can't be told apart from what leads to it."""
        words = tuple(tokens_after(LEVEL_PREFIX[task], f" {level}", tokenizer) for level in LEVELS)
        if not all(words) or len(set(words)) < len(words):
            raise UserError(
                "this model's tokenizer cuts level words into the sentence before them, so they can't be weighed. "
                "Try without --levels"
            )
        return cls(words)

    @cached_property
    def beginnings(self) -> tuple[tuple[int, ...], ...]:
        """Tokens after which probabilities are wanted: none, then each beginning of a word that is cut."""
        return tuple(dict.fromkeys(((), *(word[:n] for word in self.words for n in range(1, len(word))))))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """The tokens whose probabilities are wanted."""
        return tuple(dict.fromkeys(token for word in self.words for token in word))

    def weighed(self, probabilities: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """(5,) probabilities of the levels, worst to best, that sum to 1, and the probability that any of them follows.

        `probabilities`: (beginnings, ids), of each token after each beginning. The former are NaN where none follows.
        """
        found = np.array([self._probability(word, probabilities) for word in self.words])
        mass = float(found.sum())
        return found / mass if mass else np.full(len(found), np.nan), mass

    def _probability(self, word: tuple[int, ...], probabilities: NDArray[np.float64]) -> float:
        steps = [(self.beginnings.index(word[:n]), self.ids.index(token)) for n, token in enumerate(word)]
        return float(np.prod([probabilities[step] for step in steps]))
