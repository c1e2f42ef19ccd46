from __future__ import annotations

import numpy as np
import pytest
import torch
from planted_emotions import CLASSES, plant
from sklearn.linear_model import LogisticRegression

from beholder.tical.attribution import explain, fit_attribution


def test_a_label_is_explained_by_either_of_two_modalities() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.dirichlet(np.ones(3)), rng.dirichlet(np.ones(3))
    follows = rng.random((3, 3))
    expected = np.zeros(3)
    for k in range(3):
        for j in range(3):
            expected[k] += first[k] * second[j] * follows[k, j]
            expected[j] += first[k] * second[j] * (1 - follows[k, j])
    got = explain(*(torch.from_numpy(a) for a in (first[None], second[None], follows)))
    assert got[0].numpy() == pytest.approx(expected)
    assert expected.sum() == pytest.approx(1.0)


def test_attributed_heads_know_what_a_modality_shows_better_than_heads_of_shared_labels() -> None:
    data = plant(2400, conflict=0.6, noise=2.0)
    learn, tell = data.take(slice(0, 1200)), data.take(slice(1200, None))
    model = fit_attribution(learn.x, np.eye(CLASSES)[learn.y], ridge=1e-3)
    ours = model.heads(tell.x)["voice"]
    shared = LogisticRegression(max_iter=500).fit(learn.x["voice"], learn.y).predict_proba(tell.x["voice"])
    truth = tell.shown["voice"]
    chance_of_truth = [np.log(q[np.arange(len(truth)), truth]).mean() for q in (ours, shared)]
    assert chance_of_truth[0] > chance_of_truth[1] + 0.2
    assert (ours.argmax(axis=1) == truth).mean() >= (shared.argmax(axis=1) == truth).mean()


def test_attribution_finds_whom_the_label_follows() -> None:
    differ = ~np.eye(CLASSES, dtype=bool)
    found = []
    for face_wins in (0.3, 0.7):
        data = plant(conflict=0.5, face_wins=face_wins)
        model = fit_attribution(data.x, np.eye(CLASSES)[data.y], ridge=1e-3)
        found.append(model.follows_first["voice", "face"][differ].mean())
    assert found[0] > 0.6 > 0.4 > found[1]


def test_the_posterior_of_training_samples_is_a_distribution_that_knows_the_label() -> None:
    data = plant(600, conflict=0.5)
    model = fit_attribution(data.x, np.eye(CLASSES)[data.y], ridge=1e-2)
    posterior = model.posterior(data.x, np.eye(CLASSES)[data.y])
    for q in posterior.values():
        assert q.sum(axis=1) == pytest.approx(1.0, abs=1e-3)
    rows = np.arange(600)
    assert posterior["face"][rows, data.y].mean() > model.heads(data.x)["face"][rows, data.y].mean()
    assert (posterior["voice"].argmax(axis=1) == data.shown["voice"])[data.conflict].mean() > 0.8


def test_missing_rows_teach_nothing_and_stay_missing() -> None:
    data = plant(400)
    x = {"voice": data.x["voice"].copy(), "face": data.x["face"].copy()}
    x["voice"][:50], x["face"][50:90], x["voice"][80:90] = np.nan, np.nan, np.nan
    model = fit_attribution(x, np.eye(CLASSES)[data.y], ridge=1e-2)
    label = model.label(x)
    assert np.array_equal(label[:50], model.heads(x)["face"][:50])
    assert np.isnan(label[80:90]).all()
    assert np.isfinite(label[90:]).all()


def test_one_modality_is_logistic_regression() -> None:
    data = plant(400)
    model = fit_attribution({"voice": data.x["voice"]}, np.eye(CLASSES)[data.y], ridge=1e-4)
    assert (model.label(data.x).argmax(axis=1) == data.y).mean() > 0.6
    assert model.follows_first == {}


def test_the_same_data_give_the_same_fit() -> None:
    data = plant(200)
    fits = [fit_attribution(data.x, np.eye(CLASSES)[data.y], ridge=1e-2) for _ in range(2)]
    assert np.array_equal(fits[0].weight["voice"], fits[1].weight["voice"])
