from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from beholder.errors import UserError
from beholder.tatar.answer import TAGS
from beholder.tatar.number import NumberTokens

DIGITS = NumberTokens(tuple(range(10)), ((), *((digit,) for digit in range(10)), (1, 0)))
INTEGERS = NumberTokens(tuple(range(101)), ((),))


def tokenizer_of(words: list[str], *, single: bool) -> PreTrainedTokenizerFast:
    """Cuts numbers into digits if `single`, else into the longest of `words`."""
    vocabulary = {word: i for i, word in enumerate(["<unk>", *TAGS, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Digits(individual_digits=single)
    tokenizer.add_tokens(list(TAGS))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def digits(first: dict[int, float], second: dict[int, dict[int, float]], third_is_0: float = 0.0) -> np.ndarray:
    found = np.zeros((12, 10))
    found[0, list(first)] = list(first.values())
    for digit, after in second.items():
        found[1 + digit, list(after)] = list(after.values())
    found[11, 0] = third_is_0
    return found


def test_the_vector_of_the_spec() -> None:
    tree = digits({7: 0.6, 6: 0.4}, {7: {2: 0.5, 4: 0.5}, 6: {8: 1.0}})
    assert DIGITS.expected(tree) == pytest.approx((71.5, 1.0))


def test_only_tokens_that_start_a_number_count_and_their_mass_is_told() -> None:
    half = digits({7: 0.3, 6: 0.2}, {7: {2: 0.5, 4: 0.5}, 6: {8: 1.0}})
    assert DIGITS.expected(half) == pytest.approx((71.5, 0.5))
    score, mass = DIGITS.expected(np.zeros((12, 10)))
    assert np.isnan(score)
    assert mass == 0


def test_a_second_token_that_is_no_digit_ends_the_number() -> None:
    assert DIGITS.expected(digits({7: 1.0}, {}))[0] == 7.5
    assert DIGITS.expected(digits({7: 1.0}, {7: {0: 0.5}}))[0] == pytest.approx((70.5 + 7.5) / 2)


def test_a_hundred_needs_its_third_digit() -> None:
    assert DIGITS.expected(digits({1: 1.0}, {1: {0: 1.0}}, third_is_0=1.0))[0] == 100
    assert DIGITS.expected(digits({1: 1.0}, {1: {0: 1.0}}, third_is_0=0.0))[0] == 10.5


def test_whole_integers_are_a_mean() -> None:
    found = np.zeros((1, 101))
    found[0, [70, 100]] = 0.25
    assert INTEGERS.expected(found) == pytest.approx(((70.5 + 100) / 2, 0.5))


def test_tokens_of_a_tokenizer_that_cuts_digit_by_digit() -> None:
    tokenizer = tokenizer_of(list("0123456789"), single=True)
    numbers = NumberTokens.of(tokenizer)
    assert tokenizer.convert_ids_to_tokens(list(numbers.ids)) == list("0123456789")
    assert [tokenizer.convert_ids_to_tokens(list(each)) for each in numbers.beginnings] == [
        [], *([digit] for digit in "0123456789"), ["1", "0"],
    ]  # fmt: skip


def test_tokens_of_a_tokenizer_that_keeps_integers_whole() -> None:
    tokenizer = tokenizer_of([str(n) for n in range(101)], single=False)
    numbers = NumberTokens.of(tokenizer)
    assert tokenizer.convert_ids_to_tokens(list(numbers.ids)) == [str(n) for n in range(101)]
    assert numbers.beginnings == ((),)


def test_a_tokenizer_that_cuts_otherwise_is_refused() -> None:
    class Pairs:
        """Two digits to a token, and an odd one alone."""

        def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[str]]:
            tag, _, number = text.partition(">")
            return {"input_ids": [tag, *(number[i : i + 2] for i in range(0, len(number), 2))]}

    with pytest.raises(UserError, match=r"42 into 1 tokens and 100 into 2, neither .* Try --explain"):
        NumberTokens.of(Pairs())
