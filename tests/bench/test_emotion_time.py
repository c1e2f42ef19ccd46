import json

import pytest
from made_votes import make_votes, rows_of, write_votes

pytest.importorskip("geoopt", reason="needs the extra emotion")

import emotion_time


def test_whole_commands_are_timed_and_a_part_of_the_study_is_stored_apart(tmp_path, capsys):
    votes = write_votes(tmp_path / "votes", rows_of(make_votes(240, actors=24)))
    words = [votes, "--repeats", 1, "--arms", "votes", "logistic", "--results", tmp_path / "results"]
    emotion_time.main([str(word) for word in words])
    assert [file.name for file in tmp_path.glob("results/**/*.json")] == ["emotion-time.json"]
    stored = json.loads((tmp_path / "results/quick/emotion-time.json").read_text())
    seconds = stored["measured"]["seconds"]
    assert seconds["smoke"] > 0
    assert seconds["study"] > 0
    assert [row[0] for row in stored["table"]["rows"]] == ["smoke", "study"]
    assert "2 arms x 1 repeats x 5 folds = 10" in stored["table"]["rows"][1][1]
    assert [limit["must"] for limit in stored["limits"]] == ["at most 60 s", "at most 3600 s"]
    assert "smoke ..." in capsys.readouterr().out
