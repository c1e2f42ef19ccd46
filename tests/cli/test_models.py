from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_model import write_tiny_checkpoint

from beholder.cli import main
from beholder.scoring.card import Card
from beholder.scoring.table import MODELS


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


def test_list_names_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(row.name in shown for row in MODELS)


def test_show_tells_a_person_what_the_card_holds(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", str(checkpoint)]) == 0
    shown = capsys.readouterr().out
    card = Card.read(checkpoint / "card.json")
    expected = [
        "from 0 to 100, higher is better",
        card.tasks["quality"].meaning,
        card.tasks["aesthetics"].meaning,
        "ratings of 1 to 5",
        card.preprocess,
        card.training,
        "0.400 to 0.600",
        *card.limits,
        "weights: Apache-2.0",
        "data:    CC0-1.0",
        "code:    Apache-2.0",
        card.weights_sha256,
        str(checkpoint / card.weights_file),
    ]
    assert [text for text in expected if text not in shown] == []


def test_show_says_so_when_nothing_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", str(write_tiny_checkpoint(tmp_path, measured=()))]) == 0
    assert "Measured accuracy\n  None yet" in capsys.readouterr().out


def test_show_json_is_the_whole_card(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "--json", str(checkpoint)]) == 0
    assert Card.model_validate(json.loads(capsys.readouterr().out)) == Card.read(checkpoint / "card.json")


def test_an_unknown_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "beholder-mimi"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("beholder: no model named 'beholder-mimi'")
    assert shown.err.count("\n") == 1
