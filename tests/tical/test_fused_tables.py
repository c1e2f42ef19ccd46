from __future__ import annotations

import json

import numpy as np
import pytest

from beholder.tical.endpoints import Answers, resample_actors
from beholder.tical.fused_tables import COLUMNS, MEASURES, fused_rows, measure_fused
from beholder.tical.metrics import calibration_error, measure
from beholder.tical.study import Told
from beholder.tical.votes import Round


def made_round(y: list[int], actor: list[int], hard: list[int], divergence: list[float]) -> Round:
    x = {m: np.zeros((len(y), 6)) for m in ("voice", "face")}
    left_out = {m: np.full(len(y), -1) for m in x}
    return Round(x, left_out, np.array(y), np.array(actor), np.array(hard, dtype=bool), np.array(divergence))


def made_told(pred: list[int], confidence: float | np.ndarray = 0.75, voice: list[int] | None = None) -> Told:
    """Sure by `confidence` of each prediction; the rest is one other emotion's."""
    sure = np.broadcast_to(confidence, len(pred))[:, None]
    one_hot = np.eye(6)[pred]
    fused = sure * one_hot + (1 - sure) * np.roll(one_hot, 1, axis=1)
    alone = fused if voice is None else np.eye(6)[voice]
    return Told(fused, alone, fused, alone, fused, np.full(len(pred), np.nan))


ROUND = made_round([0, 0, 1, 1, 2, 2], [7, 9, 7, 9, 7, 9], [1, 1, 0, 0, 0, 1], [0.1, 0.171, 0.2, 0.379, 0.5, 0.9])


def test_columns_of_hand_made_answers() -> None:
    told = made_told([0, 1, 1, 1, 2, 3])
    found = measure_fused(Answers([ROUND], [told]), resample_actors(ROUND.actor))
    value = {name: found[name][0] for name in MEASURES}
    f1 = {0: 2 / 3, 1: 4 / 5, 2: 2 / 3}  # of two each; class 3 was never true
    assert value == pytest.approx(
        {
            "accuracy": 4 / 6,
            "conflict": 1 / 3,
            "rest": 1,
            "JSD low": 1 / 2,  # .171 is in the lowest third, .379 in the middle
            "JSD middle": 1,
            "JSD high": 1 / 2,
            "weighted F1": sum(f1.values()) / 3,
            "macro F1": sum(f1.values()) / 3,
            "ECE": 0.75 - 4 / 6,
        }
    )


def test_repeats_are_averaged_inside() -> None:
    answers = Answers([ROUND, ROUND], [made_told([0, 0, 1, 1, 2, 2]), made_told([1, 1, 1, 1, 2, 2])])
    found = measure_fused(answers, resample_actors(ROUND.actor))
    assert found["accuracy"][0] == pytest.approx((1 + 4 / 6) / 2)
    assert found["macro F1"][0] == pytest.approx((1 + (0 + 2 / 3 + 1) / 3) / 2)


def test_resamples_are_those_of_the_metrics_on_rows_counted_more_than_once() -> None:
    rng = np.random.default_rng(0)
    n = 400
    drawn = made_round(
        rng.integers(6, size=n).tolist(),
        rng.integers(12, size=n).tolist(),
        rng.integers(2, size=n).tolist(),
        rng.random(n).tolist(),
    )
    pred = np.where(rng.random(n) < 0.6, drawn.y, rng.integers(6, size=n))
    told = made_told(pred.tolist(), rng.uniform(0.5, 1, size=n))
    actors = resample_actors(drawn.actor)
    found = measure_fused(Answers([drawn], [told]), actors)
    for i in range(20):
        times = actors.weights[i][actors.code]
        expected = measure(drawn.y, pred, times)
        assert found["accuracy"][i] == pytest.approx(expected["wa"])
        assert found["weighted F1"][i] == pytest.approx(expected["weighted_f1"])
        assert found["macro F1"][i] == pytest.approx(expected["macro_f1"])
        rows = np.repeat(np.arange(n), times.astype(int))
        hit = (pred == drawn.y).astype(float)[rows]
        assert found["ECE"][i] == pytest.approx(calibration_error(hit, told.fused.max(axis=1)[rows]))
        assert found["conflict"][i] == pytest.approx(hit[drawn.hard[rows]].mean())


def test_the_better_baseline_is_subtracted_actor_by_actor() -> None:
    right, worse = [0, 0, 1, 1, 2, 2], [1, 0, 1, 1, 2, 3]
    known = {
        "logistic": Answers([ROUND], [made_told(worse, voice=right)]),
        "tical-concat": Answers([ROUND], [made_told(right)]),
        "tical-attribution": Answers([ROUND], [made_told([*right[:5], 3])]),
    }
    rows, measured = fused_rows(known)
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert [row[0] for row in rows] == [
        "logistic",
        "logistic, voice alone",
        "logistic, face alone",
        "tical-concat",
        "tical-attribution",
    ]
    assert measured["better_baseline"] == "tical-concat"
    cells = {row[0]: row[-2:] for row in rows}
    assert cells["tical-concat"] == ["baseline", "baseline"]
    assert cells["logistic, voice alone"][0] == "+0.000 [+0.000, +0.000]"  # it was made right
    less = measured["less_better_baseline"]
    assert less["logistic"]["accuracy"]["value"] == pytest.approx(-2 / 6)
    assert less["tical-attribution"]["accuracy"]["value"] == pytest.approx(-1 / 6)
    assert less["tical-attribution"]["conflict"]["value"] == pytest.approx(-1 / 3)
    span = less["tical-attribution"]["accuracy"]
    assert (span["low"], span["high"]) == pytest.approx((-1 / 3, 0))  # actor 9 twice, or actor 7 twice
    assert measured["clips"] == {"conflict": 3, "rest": 3, "JSD low": 2, "JSD middle": 2, "JSD high": 2}
    assert json.dumps(measured)


def test_without_both_baselines_nothing_is_subtracted() -> None:
    rows, measured = fused_rows({"logistic": Answers([ROUND], [made_told([0, 0, 1, 1, 2, 2])])})
    assert measured["better_baseline"] is None
    assert {tuple(row[-2:]) for row in rows} == {("", "")}
    assert measured["less_better_baseline"] == {}
