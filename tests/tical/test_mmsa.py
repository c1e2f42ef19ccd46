from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmsa_pickles import mmsa_content, write_mmsa

from beholder.errors import UserError
from beholder.tical.mmsa import convert_mmsa, read_mmsa


def test_parts_are_joined_and_the_video_is_the_group(tmp_path: Path) -> None:
    content = mmsa_content()
    data = read_mmsa(write_mmsa(tmp_path / "p.pkl", content))
    assert {m: x.shape for m, x in data.x.items()} == {"text": (76, 5, 7), "audio": (76, 9, 3), "vision": (76, 6, 4)}
    assert data.columns["split"].tolist() == ["train"] * 40 + ["valid"] * 16 + ["test"] * 20
    assert data.columns["id"][41] == "valid0$_$1"
    assert data.columns["group"][41] == "valid0"
    assert np.array_equal(data.columns["label"][40:56], content["valid"]["regression_labels"])
    assert data.lengths["audio"][40:56].tolist() == content["valid"]["audio_lengths"]
    assert "text" not in data.lengths


def test_nan_and_infinity_become_zero_and_are_counted(tmp_path: Path) -> None:
    content = mmsa_content()
    content["test"]["audio"][0, 0] = [-np.inf, np.nan, 1]
    content["train"]["audio"][3, 1, 1] = np.inf
    data = read_mmsa(write_mmsa(tmp_path / "p.pkl", content))
    assert data.replaced == {"text": 0, "audio": 3, "vision": 0}
    assert data.x["audio"][56, 0].tolist() == [0, 0, 1]


def test_lists_are_taken_as_arrays_are(tmp_path: Path) -> None:
    content = mmsa_content()
    as_lists = {
        s: {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in p.items()} for s, p in content.items()
    }
    first, second = (read_mmsa(write_mmsa(tmp_path / f"{i}.pkl", c)) for i, c in enumerate((content, as_lists)))
    assert np.array_equal(first.x["text"], second.x["text"])
    assert first.words == second.words


def test_unimodal_labels_keep_the_name_of_their_modality(tmp_path: Path) -> None:
    content = mmsa_content()
    for part in content.values():
        for letter in "TAV":
            part[f"regression_labels_{letter}"] = part["regression_labels"] / 3
    data = read_mmsa(write_mmsa(tmp_path / "p.pkl", content))
    assert {"label_text", "label_audio", "label_vision"} <= set(data.columns)


def test_what_is_written_needs_no_pickle_and_says_where_it_is_from(tmp_path: Path) -> None:
    data, digest = convert_mmsa(write_mmsa(tmp_path / "p.pkl"), tmp_path / "out")
    with np.load(tmp_path / "out" / "features.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["vision"], data.x["vision"])
        assert set(stored.files) == {
            *("text", "audio", "vision", "audio_lengths", "vision_lengths"),
            *("id", "group", "split", "label"),
        }
    rows = list(csv.DictReader((tmp_path / "out" / "samples.csv").open(newline="", encoding="utf-8")))
    assert rows[1]["text"] == "words, 1"
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["sha256"] == digest
    assert about["published_as"] is None
    with pytest.raises(UserError, match="not empty"):
        convert_mmsa(tmp_path / "p.pkl", tmp_path / "out")


def _wrong(key: str, value: Any) -> dict[str, Any]:
    content = mmsa_content()
    content["valid"][key] = value
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1], "holds list; a pickle of MMSA is a dict of train, valid, test"),
        ({"dev": {}}, "keys 'dev'"),
        ({"train": [1]}, "train is list"),
        ({"train": {"id": ["a"]}}, "no 'regression_labels'"),
        ({"train": {"id": ["a"], "regression_labels": [1.0]}}, "none of text, audio, vision"),
        (_wrong("audio", np.zeros((16, 9))), r"valid\.audio has shape \(16, 9\); it should be \(16, steps, features\)"),
        (_wrong("audio", np.zeros((16, 9, 2))), "parts have different shapes"),
        (_wrong("audio", [[[1.0], [2.0, 3.0]]] * 16), r"valid\.audio is no array"),
        (_wrong("audio", np.full((16, 9, 3), "x", dtype=object)), r"valid\.audio is of type object"),
        (_wrong("audio_lengths", [10] * 16), "has 10; lengths are whole, from 0 to 9"),
        (_wrong("regression_labels", [1.0] * 15), "has 15 numbers for 16 samples"),
        (_wrong("regression_labels", [1.0] * 15 + [np.nan]), "nan in row 15"),
        (_wrong("id", [["a"]] * 16), "not a list of text"),
        (_wrong("raw_text", ["a"]), "1 entries for 16 samples"),
        (_wrong("regression_labels_A", [1.0] * 16), "parts hold different arrays"),
    ],
)
def test_what_a_part_lacks_is_named(content: object, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        read_mmsa(write_mmsa(tmp_path / "p.pkl", content))
