from __future__ import annotations

from pathlib import Path

import pytest

from beholder.errors import UserError
from beholder.scoring.engines import Checkpoint
from beholder.scoring.table import DEFAULT, MODELS, resolve


def test_names_are_unique_and_the_default_is_one_of_them() -> None:
    names = [row.name for row in MODELS]
    assert len(set(names)) == len(names)
    assert DEFAULT in names


def test_a_folder_with_a_card_is_a_model(checkpoint: Path) -> None:
    assert resolve(checkpoint) == resolve(str(checkpoint)) == Checkpoint(checkpoint)


def test_an_unknown_name_lists_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(
        UserError, match=r"'beholder-mimi'.* Known models: beholder-mini.* Did you mean 'beholder-mini'"
    ):
        resolve("beholder-mimi")


def test_a_folder_without_a_card_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"it has no card\.json"):
        resolve(tmp_path)
