"""The expected number after `<answer>`, read from token probabilities (section 9 of our spec).

Nothing is written. Where each digit is a token (Qwen), the first two digits are a small tree; where each integer from 0
to 100 is one token, one step is enough. Other tokenizers can't be read this way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tatar.answer import ANSWER

LEAST_MASS = 0.5
"""Probability that a number follows at all, below which an answer counts as unparsed."""

_DECIMALS = 0.5
"""What two decimals are worth on average, which no token tells yet."""


@dataclass(frozen=True)
class NumberTokens:
    """The tokens that can start a number, and after which beginnings their probabilities are wanted."""

    ids: tuple[int, ...]
    """Of the digits 0 to 9, or of the integers 0 to 100."""
    beginnings: tuple[tuple[int, ...], ...]
    """Tokens already written: none; for digits also each digit, and 1 with 0."""

    @classmethod
    def of(cls, tokenizer: Any) -> NumberTokens:
        """The number tokens of a tokenizer. Raises `UserError` where it cuts numbers in another way."""
        integers = [tokens_after(ANSWER, str(n), tokenizer) for n in range(101)]
        digits = tuple(ids[0] for ids in integers[:10] if len(ids) == 1)
        if len(digits) == 10 and all(
            ids == tuple(digits[int(digit)] for digit in str(n)) for n, ids in enumerate(integers)
        ):
            return cls(digits, ((), *((digit,) for digit in digits), (digits[1], digits[0])))
        if all(len(ids) == 1 for ids in integers):
            return cls(tuple(ids[0] for ids in integers), ((),))
        raise UserError(
            f"this model's tokenizer cuts 42 into {len(integers[42])} tokens and 100 into {len(integers[100])}, "
            "neither digit by digit nor whole, so its numbers can't be read without writing. Try --explain"
        )

    def expected(self, probabilities: NDArray[np.float64]) -> tuple[float, float]:
        """Expected number, 0 to 100 (NaN where none can follow), and the probability that a number follows at all.

        `probabilities`: (beginnings, ids), of each token after each beginning, not renormalised.
        """
        mass = float(probabilities[0].sum())
        if not mass:
            return float("nan"), 0.0
        first = probabilities[0] / mass
        if len(self.ids) > 10:
            values = np.arange(101) + np.where(np.arange(101) < 100, _DECIMALS, 0.0)
            return float(first @ values), mass
        return float(first @ _worth_of_first_digits(probabilities[1:11], float(probabilities[11, 0]))), mass


def _worth_of_first_digits(second: NDArray[np.float64], third_is_0: float) -> NDArray[np.float64]:
    """(10,) expected number after each first digit. `second`: (10, 10) of each digit after each first one.

    A second token that is no digit ends the integer part; 1, 0, 0 is 100.
    """
    a = np.arange(10)
    values = 10.0 * a[:, None] + a[None, :] + _DECIMALS
    values[1, 0] = third_is_0 * 100 + (1 - third_is_0) * values[1, 0]
    alone = 1 - second.sum(axis=1)
    worth: NDArray[np.float64] = (second * values).sum(axis=1) + alone * (a + _DECIMALS)
    return worth


def tokens_after(before: str, text: str, tokenizer: Any) -> tuple[int, ...]:
    """Tokens of a text that stands after another, where some tokenizers cut otherwise than at a start.

    None at all where `before` would be cut otherwise than alone.
    """
    alone = tokenizer(before, add_special_tokens=False)["input_ids"]
    both = tokenizer(before + text, add_special_tokens=False)["input_ids"]
    return tuple(both[len(alone) :]) if both[: len(alone)] == alone else ()
