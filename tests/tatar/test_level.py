from __future__ import annotations

import numpy as np
import pytest

from beholder.errors import UserError
from beholder.task import LEVELS
from beholder.tatar.answer import LEVEL_PREFIX
from beholder.tatar.level import VALUES, LevelTokens

CUT = LevelTokens(((7,), (8, 1), (8, 2), (9, 1), (9, 2, 3)))
"""Level words of one, two and three tokens."""


class Letters:
    """Every letter is a token."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}


class Words:
    """Every word is one token; joins the sentence to what follows it where `joins`."""

    def __init__(self, *, joins: bool = False) -> None:
        self.joins, self.known = joins, {}

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        words = [text] if self.joins else text.split()
        return {"input_ids": [self.known.setdefault(word, len(self.known)) for word in words]}


def test_a_word_of_several_tokens_is_as_likely_as_all_of_them_in_a_row():
    assert CUT.beginnings == ((), (8,), (9,), (9, 2))
    assert CUT.ids == (7, 8, 1, 2, 9, 3)
    found = np.zeros((4, 6))
    found[0, [0, 1, 4]] = 0.1, 0.4, 0.3  # 7, 8, 9 at the start
    found[1, [2, 3]] = 0.25, 0.75  # 1, 2 after 8
    found[2, [2, 3]] = 0.5, 0.5  # 1, 2 after 9
    found[3, 5] = 0.8  # 3 after 9 2
    levels, mass = CUT.weighed(found)
    words = np.array([0.1, 0.1, 0.3, 0.15, 0.12])
    assert mass == pytest.approx(words.sum())
    assert levels == pytest.approx(words / words.sum())


def test_without_any_level_word_there_is_no_level():
    levels, mass = CUT.weighed(np.zeros((4, 6)))
    assert mass == 0
    assert np.isnan(levels).all()


def test_weights_are_those_of_the_spec():
    assert VALUES.tolist() == [0, 25, 50, 75, 100]


def test_words_are_cut_as_after_their_sentence():
    letters = LevelTokens.of(Letters(), "quality")
    assert ["".join(map(chr, word)) for word in letters.words] == [f" {level}" for level in LEVELS]
    words = LevelTokens.of(Words(), "aesthetics")
    n = len(LEVEL_PREFIX["aesthetics"].split())
    assert words.words == tuple((n + i,) for i in range(5))
    assert words.beginnings == ((),)


def test_a_tokenizer_that_joins_sentence_and_word_is_refused():
    with pytest.raises(UserError, match="Try without --levels"):
        LevelTokens.of(Words(joins=True), "quality")
