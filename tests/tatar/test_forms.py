"""Rationales in the form of the other task, and rewards that go with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from rated_pictures import write_rated

from beholder.errors import UserError
from beholder.tatar.config import DataConfig
from beholder.tatar.examples import Example, read_examples
from beholder.tatar.forms import write_forms
from beholder.tatar.rewards import Completion, reward
from beholder.tatar.rules import WORDS
from beholder.tatar.variants import REWARDS


def words(example: Example) -> int:
    return len((example.think or "").split())


def test_both_forms_are_about_the_same_pictures_and_are_learned_from_as_any_rationales(tmp_path: Path) -> None:
    manifest = write_rated(tmp_path / "set", "aesthetics", n_train=6, n_test=2)
    files = write_forms(manifest, tmp_path, n_pictures=4)
    fast, slow = (
        read_examples([DataConfig(manifest=tmp_path / "set", rationales=files[form])])[0] for form in ("fast", "slow")
    )
    assert [(e.path, e.target, e.task) for e in fast] == [(e.path, e.target, e.task) for e in slow]
    assert len(fast) == 4
    assert max(map(words, fast)) <= WORDS["quality"][1] < WORDS["aesthetics"][0] <= min(map(words, slow))


def test_more_pictures_than_there_are_is_refused(tmp_path: Path) -> None:
    manifest = write_rated(tmp_path / "set", "quality", n_train=6)
    with pytest.raises(UserError, match="7 pictures are wanted, and the train part of bright-quality has 6"):
        write_forms(manifest, tmp_path, n_pictures=7)


@pytest.mark.parametrize(
    ("name", "quality", "aesthetics"),
    [
        ("beholder", "fast", "slow"),
        ("swapped", "slow", "fast"),
        ("all_fast", "fast", "fast"),
        ("all_slow", "slow", "slow"),
    ],
)
def test_a_text_of_the_form_that_was_taught_loses_nothing_for_its_length(
    name: str, quality: str, aesthetics: str
) -> None:
    n_words = {"fast": 40, "slow": 150}
    found = reward(
        [
            Completion(task, "set", "a", 50.0, 50.0, n_words[form], n_words[form])
            for task in ("quality", "aesthetics")
            for form in ("fast", "slow")
        ],
        REWARDS[name],
    ).terms["length"]
    kept = [found[place] == 0 for place in range(4)]
    assert kept == [quality == "fast", quality == "slow", aesthetics == "fast", aesthetics == "slow"]
