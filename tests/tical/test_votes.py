from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_votes import make_votes, rows_of, write_votes
from sklearn.metrics import roc_auc_score

from beholder.cli import main
from beholder.errors import UserError
from beholder.tical.consistency import jensen_shannon
from beholder.tical.endpoints import (
    Answers,
    conflict_auroc,
    fused_hits,
    interval,
    mean_of,
    resample_actors,
    resampled_auroc,
)
from beholder.tical.study import ARMS, cross_validate, prediction_file, read_told, restrict, run_study
from beholder.tical.votes import draw_round, majority, read_votes, research_actors
from beholder.tical.votes_tables import Run, results_of


def test_votes_are_read_by_clip_whatever_the_order(tmp_path: Path) -> None:
    rows = ["b,7,face,0,0,0,1,0,0", "b,7,voice,1,0,0,0,0,0", "a,5,av,0,0,0,0,0,3", "a,5,voice,0,2,0,0,0,0"]
    rows += ["b,7,av,0,0,4,0,0,0", "a,5,face,0,0,0,0,9,0"]
    votes = read_votes(write_votes(tmp_path, rows))
    assert votes.actor.tolist() == [5, 7]
    assert votes.counts["voice"].tolist() == [[0, 2, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert votes.counts["av"].argmax(axis=1).tolist() == [5, 2]


def test_a_clip_that_lacks_a_condition_is_refused(tmp_path: Path) -> None:
    rows = ["a,5,av,1,0,0,0,0,0", "a,5,voice,1,0,0,0,0,0"]
    with pytest.raises(UserError, match="not every clip"):
        read_votes(write_votes(tmp_path, rows))
    with pytest.raises(UserError, match=r"no votes\.csv"):
        read_votes(tmp_path / "elsewhere")


def test_a_tie_is_no_majority() -> None:
    assert majority(np.array([[2, 2, 0], [0, 3, 1]])).tolist() == [-1, 1]


def test_drawn_raters_never_exceed_those_there_are() -> None:
    votes = make_votes()
    drawn = draw_round(votes, 3, repeat=1)
    rows = majority(votes.counts["av"]) >= 0
    for m, shares in drawn.x.items():
        counts = np.rint(shares * 3).astype(int)
        assert (counts.sum(axis=1) == 3).all()
        assert (counts <= votes.counts[m][rows]).all()
        assert np.array_equal(drawn.left_out[m], majority(votes.counts[m][rows] - counts))


def test_a_repeat_is_drawn_the_same_again_and_another_differs() -> None:
    votes = make_votes()
    first, again, other = (draw_round(votes, 3, repeat=r).x["voice"] for r in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_actor_is_told_by_a_fit_that_saw_them() -> None:
    drawn = draw_round(make_votes(), 3, repeat=0)
    seen = []

    def arm(drawn, learn, tell):  # type: ignore[no-untyped-def]
        seen.append(set(drawn.actor[learn]) & set(drawn.actor[tell]))
        return ARMS["votes"](drawn, learn, tell)

    told = cross_validate(drawn, arm, folds=4, repeat=0)
    assert seen == [set()] * 4
    assert np.array_equal(told.voice, drawn.x["voice"])


def test_a_stopped_study_goes_on_and_keeps_what_is_there(tmp_path: Path) -> None:
    votes, done = make_votes(), []
    run_study(votes, tmp_path, arms=["votes"], repeats=1, on_done=done.append)
    kept = prediction_file(tmp_path, "votes", 3, 0)
    before = kept.stat().st_mtime_ns
    run_study(votes, tmp_path, arms=["votes", "logistic"], repeats=2, on_done=done.append)
    assert kept.stat().st_mtime_ns == before
    assert done[0] == "votes, k = 3, repeat 0: 1 of 1, 0:00:00 left"
    assert len(done) == 4


def test_processes_write_the_files_of_one_process(tmp_path: Path) -> None:
    votes, arms = make_votes(120), ["logistic", "tical-concat"]
    for workers in (1, 2):
        run_study(votes, tmp_path / str(workers), arms=arms, repeats=1, folds=2, workers=workers, on_done=str)
    files = [prediction_file(tmp_path / str(workers), arm, 3, 0) for workers in (1, 2) for arm in arms]
    serial, pool = ([file.read_bytes() for file in some] for some in (files[:2], files[2:]))
    assert serial == pool


def test_research_actors_are_half_of_them_and_always_the_same() -> None:
    actor = np.repeat(np.arange(1001, 1072), 3)
    assert len(research_actors(actor)) == 35
    assert np.array_equal(research_actors(actor), research_actors(actor[::-1]))


def test_attribution_knows_voices_better_than_heads_of_shared_labels(tmp_path: Path) -> None:
    votes = make_votes(1200)
    run_study(votes, tmp_path, arms=["logistic", "attribution-alone", "votes"], repeats=1)
    drawn = draw_round(votes, 3, repeat=0)
    rows = drawn.left_out["voice"] >= 0
    told = {arm: read_told(prediction_file(tmp_path, arm, 3, 0)) for arm in ("logistic", "attribution-alone", "votes")}
    chance = {arm: t.voice[np.arange(len(rows)), drawn.left_out["voice"]][rows].mean() for arm, t in told.items()}
    assert chance["attribution-alone"] > chance["logistic"] + 0.05
    answers = {arm: Answers([drawn], [t]) for arm, t in told.items()}
    actors = resample_actors(drawn.actor)
    auroc = {arm: interval(conflict_auroc(lambda t: 1 - t.consistency, a, actors)) for arm, a in answers.items()}
    assert auroc["attribution-alone"].value > auroc["logistic"].value


def test_intervals_are_over_actors_and_around_the_value(tmp_path: Path) -> None:
    votes = make_votes()
    run_study(votes, tmp_path, arms=["votes"], repeats=2)
    rounds = [draw_round(votes, 3, r) for r in range(2)]
    answers = Answers(rounds, [read_told(prediction_file(tmp_path, "votes", 3, r)) for r in range(2)])
    found = interval(mean_of(fused_hits, answers, resample_actors(rounds[0].actor)))
    plain = np.mean([(t.fused.argmax(axis=1) == r.y).mean() for r, t in zip(rounds, answers.told, strict=True)])
    assert found.value == pytest.approx(plain)
    assert found.low < found.value < found.high


def test_tables_and_endpoints_come_from_stored_predictions(tmp_path: Path) -> None:
    votes = make_votes(400, actors=20)
    arms = ["votes", "logistic", "tical-concat", "tical-attribution"]
    run_study(votes, tmp_path, arms=arms[:2], repeats=1, folds=2)
    for arm in arms[2:]:  # what an arm says is no matter here
        file = prediction_file(tmp_path, arm, 3, 0)
        file.parent.mkdir()
        file.write_bytes(prediction_file(tmp_path, "logistic", 3, 0).read_bytes())
    decide, everybody, fused, fused_all, endpoints = results_of(Run(votes, tmp_path, repeats=1), folds=2)
    assert [one.name for one in (decide, everybody, fused, fused_all, endpoints)] == [
        "emotion-votes",
        "emotion-votes-all",
        "emotion-votes-fused",
        "emotion-votes-fused-all",
        "emotion-endpoints",
    ]
    assert [row[0] for row in decide.rows] == arms
    assert {len(row) for row in decide.rows} == {len(decide.columns)}
    told = read_told(prediction_file(tmp_path, "logistic", 3, 0))
    drawn = draw_round(votes, 3, 0)
    other = ~np.isin(drawn.actor, research_actors(votes.actor))
    right = told.fused.argmax(axis=1) == drawn.y
    assert decide.measured["arms"]["logistic"]["fused"]["value"] == pytest.approx(right[other].mean())
    assert everybody.measured["arms"]["logistic"]["fused"]["value"] == pytest.approx(right.mean())
    assert {row[1] for row in endpoints.rows} == {"tical-attribution"}
    p1 = next(row for row in endpoints.rows if row[0].startswith("P1") and row[2] == "10 other actors")
    assert p1[3].startswith("+0.000")
    assert p1[5] == "missed"
    assert json.dumps(vars(endpoints))
    with pytest.raises(UserError, match="was it made with --research"):
        results_of(Run(votes, tmp_path, repeats=1, research=True))


def test_the_command_runs_the_study_and_leaves_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    votes = make_votes(400, actors=24)
    folder, out = str(write_votes(tmp_path / "votes", rows_of(votes))), tmp_path / "run"
    assert main(["emotion", "bench", "votes", folder, "--smoke"]) == 0
    assert "It runs: 3 arms" in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["votes"]
    assert main(["emotion", "bench", "votes", folder]) == 1
    assert main(["emotion", "bench", "votes", folder, "-o", str(out), "--arm", "vote"]) == 1
    chosen = ["--arm", "votes", "--arm", "logistic", "--repeats", "1", "--research", "--workers", "1"]
    assert main(["emotion", "bench", "votes", folder, "-o", str(out), *chosen]) == 0
    assert "logistic" in capsys.readouterr().out
    stored = json.loads((out / "emotion-votes-research.json").read_text())
    assert [row[0] for row in stored["rows"]] == ["votes", "logistic"]


def test_auroc_is_that_of_scikit_learn_with_ties_and_resampled_actors() -> None:
    rng = np.random.default_rng(0)
    score, positive = rng.integers(8, size=200) / 8, rng.random(200) < 0.4
    actors = resample_actors(rng.integers(9, size=200))
    expected = [roc_auc_score(positive, score, sample_weight=w[actors.code]) for w in actors.weights[:20]]
    assert resampled_auroc(score, positive, actors)[:20] == pytest.approx(expected)


def test_the_published_facts_of_the_votes_hold() -> None:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "emotion_votes_cremad"
    if not folder.is_dir():
        pytest.skip("the votes are not here")
    votes = read_votes(folder)
    y = majority(votes.counts["av"])
    assert np.bincount(y[y >= 0]).tolist() == [802, 878, 821, 949, 1537, 479]
    drawn = draw_round(votes, 3, repeat=0)
    assert int(drawn.hard.sum()) == 2170
    some = restrict(drawn, research_actors(votes.actor))
    assert len(set(some.actor)) == 35
    assert jensen_shannon(some.x["voice"], some.x["face"]).max() == pytest.approx(1.0)
