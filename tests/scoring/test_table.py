from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from beholder.errors import UserError
from beholder.scoring.engines import ENGINES, Checkpoint
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


@pytest.mark.parametrize("name", ENGINES)
def test_what_an_engine_names_exists(name: str) -> None:
    for text in (ENGINES[name].card, ENGINES[name].scorer):
        module, _, function = text.partition(":")
        assert callable(getattr(import_module(module), function))


def test_an_engine_is_named_before_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tatar.json").touch()
    assert resolve(f"tatar:{tmp_path}") == Checkpoint(tmp_path, "tatar")
    with pytest.raises(UserError, match=rf"one of another engine\. Try tatar:{tmp_path}"):
        resolve(tmp_path)
    with pytest.raises(UserError, match="no folder 'nowhere'"):
        resolve("tatar:nowhere")
