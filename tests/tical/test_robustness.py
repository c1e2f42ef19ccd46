"""Data as they come: what is missing, rare or ragged is done without, or named."""

from __future__ import annotations

import numpy as np
import pytest
from planted_emotions import Planted, plant

from beholder.errors import UserError
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS

FEW = {"epochs": 3, "warmup_epochs": 1, "batch_size": 64, "learning_rate": 0.01}
KINDS = ("published", "attribution", "dmd-like")


@pytest.fixture(scope="module")
def data() -> Planted:
    return plant(240)


def model(variant: str, **settings: object) -> TicalClassifier:
    return TicalClassifier({**VARIANTS[variant], **FEW, **settings})


@pytest.mark.parametrize("variant", KINDS)
def test_a_modality_that_whole_groups_lack_is_done_without(variant: str, data: Planted) -> None:
    voice = data.x["voice"].copy()
    voice[data.group % 3 == 0] = np.nan
    fitted = model(variant).fit({"voice": voice, "face": data.x["face"]}, data.y, groups=data.group)
    report = fitted.assess({"voice": voice, "face": data.x["face"]})
    assert np.isfinite(report["confidence"]).all()
    assert np.array_equal(np.isnan(report["consistency"]), np.isnan(voice[:, 0]))
    assert np.array_equal(report["voice_present"], ~np.isnan(voice[:, 0]))


def test_a_modality_of_too_few_groups_for_its_anchors_is_named(data: Planted) -> None:
    voice = data.x["voice"].copy()
    voice[data.group > 1] = np.nan
    with pytest.raises(UserError, match="groups with this modality, and 3 folds"):
        model("published").fit({"voice": voice, "face": data.x["face"]}, data.y, groups=data.group)


@pytest.mark.parametrize("variant", KINDS)
@pytest.mark.parametrize("n_rare", [1])
def test_a_class_of_fewer_samples_than_near_anchors_keeps_its_column(variant: str, n_rare: int, data: Planted) -> None:
    rare = np.flatnonzero(data.y == 5)
    rows = np.setdiff1d(np.arange(len(data.y)), rare[n_rare:])
    x, y = {m: values[rows] for m, values in data.x.items()}, data.y[rows]
    fitted = model(variant).fit(x, y, groups=data.group[rows])
    proba = fitted.predict_proba(x)
    assert proba.shape == (len(rows), 6)
    assert np.isfinite(proba).all()
    assert all(np.isfinite(q).all() for q in fitted.pseudo_labels(x).values())
    if variant == "published":
        assert 5 in fitted.fit_.fallback["voice"]


@pytest.mark.parametrize("variant", KINDS)
def test_ragged_sequences_with_an_empty_one_and_gaps_are_taken(variant: str, data: Planted) -> None:
    rng = np.random.default_rng(0)
    voice: list[np.ndarray | None] = [
        values + rng.normal(0, 0.1, (1 + row % 7, 8)) for row, values in enumerate(data.x["voice"][:80])
    ]
    voice[3], voice[4] = None, np.zeros((0, 8))
    x = {"voice": voice, "face": data.x["face"][:80]}
    fitted = model(variant, hidden=16).fit(x, data.y[:80], groups=data.group[:80])
    report = fitted.assess(x)
    assert report["voice_present"].tolist() == [row not in (3, 4) for row in range(80)]
    assert np.isfinite(report["confidence"]).all()
    with pytest.raises(UserError, match=r"'voice' has shape \(2, 5\) in row 1"):
        fitted.assess({"voice": [voice[0], np.zeros((2, 5))], "face": data.x["face"][:2]})


@pytest.mark.parametrize("variant", KINDS)
def test_one_modality_alone_is_learned(variant: str, data: Planted) -> None:
    x = {"face": data.x["face"]}
    fitted = model(variant, epochs=8).fit(x, data.y, groups=data.group)
    assert (fitted.predict(x) == data.y).mean() > 0.6
    assert np.isnan(fitted.assess(x)["consistency"]).all()


@pytest.mark.parametrize(
    ("value", "says"), [(np.inf, "'voice' is infinite in row 2"), (np.nan, "NaN in a part of row 2")]
)
def test_a_number_that_is_none_is_named_at_predict_too(value: float, says: str, data: Planted) -> None:
    fitted = model("attribution", epochs=1).fit(data.x, data.y)
    x = {m: values[:4].copy() for m, values in data.x.items()}
    x["voice"][2, 1] = value
    with pytest.raises(UserError, match=says):
        fitted.assess(x)
