from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from beholder.errors import UserError
from beholder.scoring.card import Card, TaskCard


def test_a_written_card_reads_back_equal(checkpoint: Path, tmp_path: Path) -> None:
    card = Card.read(checkpoint / "card.json")
    card.write(tmp_path / "card.json")
    assert Card.read(tmp_path / "card.json") == card


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a model: it has no card\.json"):
        Card.read(tmp_path / "card.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weights_sha256", "abc"),
        ("weights_file", "../../etc/passwd"),
        ("fit_area", 0),
        ("tasks", {}),
        ("tasks", {"beauty": {}}),
        ("colour", "blue"),
    ],
)
def test_a_wrong_field_is_named(checkpoint: Path, tmp_path: Path, field: str, value: object) -> None:
    content = json.loads((checkpoint / "card.json").read_text())
    path = tmp_path / "card.json"
    path.write_text(json.dumps(content | {field: value}))
    with pytest.raises(UserError, match=f"is not a valid model card: {field}") as refusal:
        Card.read(path)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_card_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(b"\x00\xff{")
    with pytest.raises(UserError, match="is not a valid model card"):
        Card.read(path)


@pytest.mark.parametrize("values", [(0, 25, math.nan, 75, 100), (0, 25, 50, 75, math.inf), (60, 60, 60, 60, 60)])
def test_level_values_are_finite_and_differ(values: tuple[float, float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be finite numbers, and not all the same"):
        TaskCard(meaning="", level_values=values, native_range=(1, 5), trained_on=())


def test_learnt_level_values_are_kept_as_they_are() -> None:
    learnt = (-3.5, 30.0, 28.0, 80.0, 117.0)
    assert TaskCard(meaning="", level_values=learnt, native_range=(1, 5), trained_on=()).level_values == learnt
