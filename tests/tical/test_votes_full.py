"""The designs beside the registered one: all raters and their levels; more raters than there are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_votes import FULL_COLUMNS, full_rows_of, make_votes, rows_of, write_votes

from beholder.cli import main
from beholder.errors import UserError
from beholder.tical.consistency import jensen_shannon
from beholder.tical.study import ARMS, prediction_file, read_told, run_study
from beholder.tical.votes import draw_round, majority, make_round, read_votes, whole_round


def test_levels_and_intended_emotions_are_read_where_they_are(tmp_path: Path) -> None:
    votes = make_votes(60)
    found = read_votes(write_votes(tmp_path, full_rows_of(votes)[::-1], FULL_COLUMNS))
    for m, levels in votes.levels.items():
        assert found.levels[m] == pytest.approx(levels)
        assert np.array_equal(found.levels[m] == 0, found.counts[m] == 0)
    assert np.array_equal(found.intended, votes.intended)
    plain = read_votes(write_votes(tmp_path, rows_of(votes)))
    assert plain.levels is None
    assert plain.intended is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("A,101,,,,,", "a level of 101"), ("A,-3,,,,,", "a level of -3"), ("X,1,,,,,", "'X'"), ("A,high,,,,,", "high")],
)
def test_a_level_or_an_intended_emotion_that_can_not_be_is_refused(tmp_path: Path, wrong: str, words: str) -> None:
    rows = [f"a,5,{condition},1,0,0,0,0,0,{wrong}" for condition in ("voice", "face", "av")]
    with pytest.raises(UserError, match=words):
        read_votes(write_votes(tmp_path, rows, FULL_COLUMNS))


def test_all_raters_are_the_input_and_the_truth() -> None:
    votes = make_votes()
    whole, rows = whole_round(votes, "full"), majority(votes.counts["av"]) >= 0
    for m, x in whole.x.items():
        counts = votes.counts[m][rows]
        assert x[:, :6] == pytest.approx(counts / 9)
        assert np.array_equal(x[:, 6:], votes.levels[m][rows])
        assert np.array_equal(whole.shares[m], x[:, :6])
        assert np.array_equal(whole.left_out[m], majority(counts))
    assert np.array_equal(whole.hard, whole.judged & whole.conflict)
    assert np.array_equal(whole.divergence, jensen_shannon(whole.shares["voice"], whole.shares["face"]))
    assert np.array_equal(whole.divergence, draw_round(votes, 3, 0).divergence)  # that of all, whoever is drawn
    assert np.array_equal(whole.y, majority(votes.counts["av"])[rows])
    intended = whole_round(votes, "full-intended")
    assert np.array_equal(intended.y, votes.intended)  # of every clip, ties among those who saw and heard too


def test_votes_by_themselves_are_shares_without_levels() -> None:
    whole = whole_round(make_votes(), "full")
    told = ARMS["votes"](whole, np.arange(0), np.arange(20))
    assert told.fused == pytest.approx((whole.shares["voice"][:20] + whole.shares["face"][:20]) / 2)


def test_what_a_design_needs_and_votes_lack_is_said_before_anything_runs(tmp_path: Path) -> None:
    votes = make_votes(60)
    with pytest.raises(UserError, match="no levels"):
        run_study(replace(votes, levels=None), tmp_path, arms=["votes"], design="full", repeats=1)
    with pytest.raises(UserError, match="intended_emotion"):
        run_study(replace(votes, intended=None), tmp_path, arms=["votes"], design="full-intended", repeats=1)
    assert not list(tmp_path.iterdir())


def test_where_fewer_raters_are_than_drawn_all_are_and_nobody_is_left_out() -> None:
    votes = make_votes(60)
    votes.counts["voice"][0] = [3, 1, 0, 0, 0, 0]
    votes.counts["av"][0] = [9, 0, 0, 0, 0, 0]
    drawn = draw_round(votes, 5, 0)
    assert drawn.x["voice"][0].tolist() == [0.75, 0.25, 0, 0, 0, 0]
    assert drawn.left_out["voice"][0] == -1
    assert not drawn.judged[0]


def test_levels_that_tell_are_learned_from(tmp_path: Path) -> None:
    votes = make_votes(400)
    telling = np.eye(6)[np.maximum(majority(votes.counts["av"]), 0)]
    told = {}
    for name, levels in (("telling", telling), ("silent", np.zeros_like(telling))):
        given = replace(votes, levels={"voice": levels, "face": np.zeros_like(levels)})
        run_study(given, tmp_path / name, arms=["logistic"], design="full", repeats=1, on_done=str)
        told[name] = read_told(prediction_file(tmp_path / name, "logistic", "full", 0))
    y = make_round(votes, "full", 0).y
    right = {name: (t.fused.argmax(axis=1) == y).mean() for name, t in told.items()}
    assert right["telling"] > 0.95
    assert 0.6 < right["silent"] < 0.9


def test_the_command_runs_a_full_design_beside_the_registered_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = make_votes(400, actors=24)
    folder, out = str(write_votes(tmp_path / "votes", full_rows_of(votes), FULL_COLUMNS)), tmp_path / "run"
    asked = ["emotion", "bench", "votes", folder, "-o", str(out), "--repeats", "1", "--workers", "1"]
    asked += ["--arm", "votes", "--arm", "logistic"]
    assert main(asked) == 0
    kept = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    assert main([*asked, "--design", "full"]) == 0
    assert "logistic, full, repeat 0" in capsys.readouterr().out
    assert main([*asked, "--design", "full-intended"]) == 0
    assert {file: file.read_bytes() for file in kept} == kept
    names = {file.name for file in out.rglob("*") if file.is_file()} - {file.name for file in kept}
    tables = {f"emotion-votes-{d}{part}.json" for d in ("full", "full-intended") for part in ("", "-fused")}
    assert names == {"full-00.npz", "full-intended-00.npz", *tables}
    stored = json.loads((out / "emotion-votes-full-fused.json").read_text())
    assert [row[0] for row in stored["rows"]][::3] == ["votes", "logistic"]
    assert stored["measured"]["design"] == "full"
    assert any("decides nothing" in note for note in stored["notes"])
    whole = make_round(read_votes(Path(folder)), "full", 0)
    right = read_told(prediction_file(out, "logistic", "full", 0)).fused.argmax(axis=1) == whole.y
    assert stored["measured"]["arms"]["logistic"]["accuracy"]["value"] == pytest.approx(right.mean())
    capsys.readouterr()
    assert main([*asked, "--design", "full"]) == 0
    assert "repeat 0" not in capsys.readouterr().out  # nothing is run twice
    assert main([*asked, "--design", "full", "--raters", "5"]) == 1
    assert "give one of them" in capsys.readouterr().err
    plain = str(write_votes(tmp_path / "plain", rows_of(votes)))
    assert main(["emotion", "bench", "votes", plain, "--smoke", "--design", "full"]) == 1
    assert "no levels" in capsys.readouterr().err


def test_the_published_facts_of_the_full_design_hold() -> None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "emotion_votes_cremad"
    if not folder.is_dir():
        pytest.skip("the votes are not here")
    votes = read_votes(folder)
    whole, intended = (whole_round(votes, design) for design in ("full", "full-intended"))
    assert len(whole.y) == 5466
    assert int(whole.hard.sum()) == 2170
    assert len(intended.y) == 5802
    told = ARMS["votes"](whole, np.arange(0), np.arange(len(whole.y)))
    assert (told.fused.argmax(axis=1) == whole.y).mean() == pytest.approx(0.797, abs=5e-4)
    assert np.quantile(whole.divergence, [1 / 3, 2 / 3]) == pytest.approx([0.171, 0.379], abs=1e-3)
    assert int(draw_round(votes, 5, 0).hard.sum()) == 2170  # one voice has four raters
