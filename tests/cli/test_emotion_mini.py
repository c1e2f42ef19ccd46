from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from beholder.cli import main
from beholder.tical.embedded import EMBEDDED

pytest.importorskip("geoopt", reason="needs the extra emotion")

WORDS = ["I am so happy for you!", "Oh my God, what was that?", ""]


def test_the_embedded_model_predicts_by_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    voice = np.vstack([rng.normal(size=(2, 88)), np.full((1, 88), np.nan)])
    face = np.vstack([np.full((2, 128), np.nan), rng.normal(size=(1, 128))])
    np.savez(tmp_path / "t.npz", voice=voice, face=face, text=np.array(WORDS), id=np.array(["a", "b", "c"]))
    out = tmp_path / "out.parquet"
    assert main(["emotion", "predict", "tical-mini", str(tmp_path / "t.npz"), "-o", str(out)]) == 0
    rows = pq.read_table(out).to_pylist()
    assert [(row["status"], row["text_present"], row["voice_present"]) for row in rows] == [
        ("ok", True, True),
        ("ok", True, True),
        ("ok", False, False),
    ]
    assert {row["pred"] for row in rows} <= set("ADFHNS")
    assert rows[0]["text_pseudo"] == "H"


def test_a_table_of_broken_files_alone_keeps_its_rows(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    (tmp_path / "t.csv").write_text("id,voice_path\nx,a.wav\n")
    out = tmp_path / "out.parquet"
    assert main(["emotion", "predict", "tical-mini", str(tmp_path / "t.csv"), "-o", str(out)]) == 0
    (row,) = pq.read_table(out).to_pylist()
    assert (row["id"], row["status"]) == ("x", "unreadable")
    assert "voice: a.wav can't be read as WAV" in row["error"]


def test_its_card_is_shown_with_numbers_data_and_limits(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "tical-mini" in capsys.readouterr().out
    assert main(["models", "show", "tical-mini"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    card = json.loads((EMBEDDED[0].folder / "card.json").read_text(encoding="utf-8"))
    for words in ("onstructed pairing", "Not for decisions about people", "MELD", "FER2013", "EmoDB", "largest class"):
        assert words in shown
    for one in card["measured"]:
        assert f"{one['value']:.3f}" in shown
    assert main(["models", "show", "tical-mini", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == card


def test_its_numbers_are_those_that_are_stored() -> None:
    results = Path(__file__).parents[2] / "bench" / "results"
    fused = json.loads((results / "emotion-constructed.json").read_text(encoding="utf-8"))["measured"]
    alone = json.loads((results / "emotion-constructed-alone.json").read_text(encoding="utf-8"))["measured"]
    card = json.loads((EMBEDDED[0].folder / "card.json").read_text(encoding="utf-8"))
    stored = [fused["ways"][card["variant"]]["accuracy"][0], *(found["alone_accuracy"][0] for found in alone.values())]
    assert [one["value"] for one in card["measured"]] == stored


def test_it_stays_small() -> None:
    assert sum(file.stat().st_size for file in EMBEDDED[0].folder.iterdir()) < 1_000_000


def test_an_unknown_model_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("voice_path\n")
    assert main(["emotion", "predict", "tical-maxi", str(tmp_path / "t.csv"), "-o", str(tmp_path / "o.parquet")]) == 1
    assert "one of tical-mini" in capsys.readouterr().err
