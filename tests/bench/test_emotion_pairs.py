import json

import pytest
from made_items import write_items
from made_votes import make_votes, rows_of, write_votes

pytest.importorskip("geoopt", reason="needs the extra emotion")

import emotion_pairs

from beholder.tical.pairing_study import said_file

QUICK = {
    "arms": ("logistic", "tical-concat", "tical-attribution"),
    "registered_seeds": 2,
    "counts": {"train": 300, "valid": 100, "test": 200},
    "settings": {"epochs": 2, "warmup_epochs": 1},
}


def test_complete_settings_are_stored_and_the_others_named(tmp_path, capsys):
    votes = write_votes(tmp_path / "votes", rows_of(make_votes(200)))
    run, results = tmp_path / "run", tmp_path / "results"
    words = [write_items(tmp_path / "items"), votes, run, "--results", results, "--workers", 1]

    def go(*options):
        emotion_pairs.main([str(word) for word in (*words, *options)], **QUICK)
        return capsys.readouterr().out

    assert "3 arms and 2 seeds yet: nothing stored" in go("--rules", "others", "--rhos", 0.5, "--seeds", 1)
    assert not results.exists()
    out = go("--rules", "others", "--rhos", 0.5, "--seeds", 2)
    assert "seed 1: 3 of 3" in out  # those of seed 0 are kept
    assert "seed 0" not in out
    stored = json.loads((results / "emotion-pairing.json").read_text())
    assert [row[:3] for row in stored["table"]["rows"]] == [[arm, "others", "0.5"] for arm in QUICK["arms"]]
    others = ["by others, rho = 0.3", "by others, rho = 0", *(f"by people, rho = {rho}" for rho in (0.5, 0.3, 0))]
    assert stored["measured"]["missing"] == others
    assert stored["caption"].endswith(f"Not complete, so not here: {'; '.join(others)}.")
    endpoints = json.loads((results / "emotion-pairing-endpoints.json").read_text())
    names = {(row[0][:2], row[1]) for row in endpoints["table"]["rows"]}
    assert names == {(name, "tical-attribution") for name in ("P1", "P2", "P3")}
    said_file(run, "tical-concat", "others", 0.5, 1).unlink()
    emotion_pairs.publish_complete(run, QUICK["arms"], 2, results)
    assert "nothing stored" in capsys.readouterr().out
