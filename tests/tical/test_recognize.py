from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from planted_emotions import FAST, plant

import beholder
import beholder.tical
from beholder.errors import UserError
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS
from beholder.tical.embedded import EMBEDDED


def test_one_line_tells_the_emotion_of_a_text() -> None:
    found = beholder.recognize({"text": "I am so happy for you!"})
    assert (found["status"], found["error"], found["text_pseudo"]) == ("ok", "", "H")
    assert (found["voice_present"], found["voice_pseudo"], found["consistency"]) == (False, "", None)
    assert sum(found[f"proba_{name}"] for name in "ADFHNS") == pytest.approx(1, abs=1e-6)


def test_samples_of_a_list_are_told_one_by_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    voice = rng.normal(size=88)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    samples = [{"voice": voice, "text": "Get out!"}, {"voice": voice, "face": tmp_path / "broken.png"}, {"face": None}]
    rows = beholder.recognize(samples)
    assert [row["status"] for row in rows] == ["ok", "unreadable", "no_modality"]
    assert "face: broken.png" in rows[1]["error"]
    assert rows[1]["confidence"] is None
    alone = beholder.recognize(samples[0])
    assert {k: v for k, v in rows[0].items() if not isinstance(v, float)} == {
        k: v for k, v in alone.items() if not isinstance(v, float)
    }
    assert all(abs(v - alone[k]) < 1e-5 for k, v in rows[0].items() if isinstance(v, float))


def test_what_the_model_does_not_know_is_said() -> None:
    for sample, says in (
        ({"smell": "rose.wav"}, "knows voice, face, text"),
        ({"voice": np.zeros(3)}, r"must be \(88,\)"),
    ):
        with pytest.raises(UserError, match=says):
            beholder.recognize(sample)
    with pytest.raises(UserError, match="one of tical-mini"):
        beholder.recognize({"text": "x"}, model="tical-maxi")
    assert beholder.recognize([]) == []


def test_a_model_of_features_is_told_of_features(tmp_path: Path) -> None:
    data = plant(400)
    fitted = TicalClassifier(VARIANTS["concat"] | FAST).fit(data.x, data.y, groups=data.group)
    fitted.save(str(tmp_path / "m"))
    rows = beholder.recognize([{m: x[i] for m, x in data.x.items()} for i in range(20)], model=tmp_path / "m")
    assert [row["pred"] for row in rows] == [str(name) for name in fitted.predict(data.take(slice(20)).x)]
    with pytest.raises(UserError, match="fitted on features of voice"):
        beholder.recognize({"voice": "a.wav"}, model=tmp_path / "m")


def test_names_of_tical_are_there_and_cost_nothing_before_use() -> None:
    assert beholder.tical.TicalClassifier is TicalClassifier
    assert beholder.tical.load(str(EMBEDDED[0].folder)).classes_.tolist() == list("ADFHNS")
    assert beholder.tical.TicalRegressor().task == "regression"
    with pytest.raises(AttributeError, match="it offers TicalClassifier"):
        _ = beholder.tical.nothing
    code = "import sys, beholder, beholder.tical.embedded; print('torch' in sys.modules, 'numpy' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["False", "False"]
