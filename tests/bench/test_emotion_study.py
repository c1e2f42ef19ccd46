from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_votes import FULL_COLUMNS, full_rows_of, make_votes, write_votes

pytest.importorskip("geoopt", reason="needs the extra emotion")

import emotion_study

from beholder.tical.study import prediction_file


def test_each_design_stores_results_of_its_own_names(tmp_path: Path) -> None:
    votes = write_votes(tmp_path / "votes", full_rows_of(make_votes(400, actors=24)), FULL_COLUMNS)
    run, results = tmp_path / "run", tmp_path / "results"
    words = [votes, run, "--results", results, "--workers", 1, "--repeats", 1, "--arms", "votes", "logistic"]

    def go(*options: object) -> None:
        emotion_study.main([str(word) for word in (*words, *options)])

    def names() -> set[str]:
        return {file.stem.removeprefix("emotion-votes") for file in results.iterdir()}

    go("--k", 1)
    go("--k", 5)
    go("--design", "full")
    go("--design", "full-intended")
    others = {f"-{d}{part}" for d in ("k1", "k5", "full", "full-intended") for part in ("", "-fused")}
    assert names() == others
    assert prediction_file(run, "logistic", "full-intended", 0).is_file()
    stored = json.loads((results / "emotion-votes-full.json").read_text())
    assert stored["title"].startswith("CREMA-D votes, all raters of each modality and their levels, told about all 24")
    assert "decides nothing" in stored["caption"]
    assert stored["measured"]["design"] == "full"
    go()
    assert names() == others | {"", "-all", "-fused", "-fused-all"}
    with pytest.raises(SystemExit):
        go("--k", 1, "--design", "full")
