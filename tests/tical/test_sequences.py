from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_sentiment import plant_order

from beholder.errors import UserError
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS
from beholder.tical.folder import load, save
from beholder.tical.inputs import check_features, missing, pad, pooled

X, Y, LENGTHS = plant_order(600)
NEW, NEW_Y, NEW_LENGTHS = plant_order(200, seed=1)
VECTOR = np.random.default_rng(2).normal(size=(600, 3))
SETTINGS = {
    **VARIANTS["concat"],
    "hidden": 32,
    "dropout": 0.0,
    "epochs": 25,
    "warmup_epochs": 1,
    "batch_size": 50,
    "learning_rate": 3e-3,
}


@pytest.fixture(scope="module")
def model() -> TicalClassifier:
    return TicalClassifier(SETTINGS).fit({"text": X}, Y, lengths={"text": LENGTHS})


def test_the_order_of_steps_is_learned(model: TicalClassifier) -> None:
    assert (model.predict({"text": NEW}, lengths={"text": NEW_LENGTHS}) == NEW_Y).mean() > 0.85


def test_what_is_past_the_length_is_never_seen(model: TicalClassifier) -> None:
    changed = np.where(np.arange(8)[None, :, None] < NEW_LENGTHS[:, None, None], NEW, -7.0)
    longer = np.concatenate([changed, np.ones((200, 5, 2))], axis=1)
    first, second = (model.predict_proba({"text": x}, lengths={"text": NEW_LENGTHS}) for x in (NEW, longer))
    assert second == pytest.approx(first, abs=1e-5)


def test_a_sequence_is_told_the_same_in_any_batch(model: TicalClassifier) -> None:
    whole = model.predict_proba({"text": NEW}, lengths={"text": NEW_LENGTHS})
    rows = np.arange(199, -1, -7)
    part = model.predict_proba({"text": NEW[rows]}, lengths={"text": NEW_LENGTHS[rows]})
    assert part == pytest.approx(whole[rows], abs=1e-5)


def test_a_list_of_unequal_sequences_is_the_same(model: TicalClassifier) -> None:
    ragged = [x[:n] for x, n in zip(NEW, NEW_LENGTHS, strict=True)]
    first = model.predict_proba({"text": NEW}, lengths={"text": NEW_LENGTHS})
    assert model.predict_proba({"text": ragged}) == pytest.approx(first, abs=1e-5)


def test_length_0_is_a_missing_modality(model: TicalClassifier, tmp_path: Path) -> None:
    report = model.assess({"text": NEW[:3]}, lengths={"text": [5, 0, 4]})
    assert report["status"].tolist() == ["ok", "no_modality", "ok"]
    assert np.isnan(report["proba_0"][1])
    save(model, tmp_path / "m")
    again = load(tmp_path / "m").assess({"text": NEW[:3]}, lengths={"text": [5, 0, 4]})
    assert again["proba_0"][[0, 2]] == pytest.approx(report["proba_0"][[0, 2]], abs=1e-6)


def test_sequences_and_vectors_meet_in_all_that_anchors_and_attribution_say() -> None:
    x = {"text": X, "audio": VECTOR}
    lengths = LENGTHS.copy()
    lengths[::9] = 0
    for variant in ("published", "attribution"):
        settings = {**VARIANTS[variant], "hidden": 16, "epochs": 3, "warmup_epochs": 1}
        report = TicalClassifier(settings).fit(x, Y, lengths={"text": lengths}).assess(x, lengths={"text": lengths})
        assert np.isnan(report["consistency"]).tolist() == (lengths == 0).tolist()
        assert report["text_present"].tolist() == (lengths > 0).tolist()


def test_what_is_missing_and_the_mean_of_steps() -> None:
    x = check_features({"a": np.arange(12.0).reshape(2, 3, 2), "b": np.ones((2, 1))}, lengths={"a": [2, 0]})
    assert missing(x["a"]).tolist() == [False, True]
    means = pooled(x)
    assert means["a"][0].tolist() == [1.0, 2.0]
    assert np.isnan(means["a"][1]).all()
    assert means["b"] is x["b"]
    assert pad([None, np.ones((2, 3))], "a").shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("x", "lengths", "says"),
    [
        ({"a": np.ones((2, 3, 2))}, {"a": [4, 1]}, "whole numbers from 0 to 3"),
        ({"a": np.ones((2, 3, 2))}, {"a": [1.5, 1]}, "whole numbers"),
        ({"a": np.ones((2, 3, 2))}, {"a": [1]}, "must be 2 whole numbers"),
        ({"a": np.ones((2, 3))}, {"a": [1, 1]}, "no modality of sequences"),
        ({"a": [np.ones((2, 3)), np.ones((2, 4))]}, {}, r"shape \(2, 4\) in row 1; it should be \(steps, 3\)"),
        ({"a": np.array([[[1, np.nan]], [[1, 1]]])}, {}, "NaN in a part of row 0, step 0"),
    ],
)
def test_sequences_that_cannot_be_are_named(x: dict[str, object], lengths: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_features(x, lengths=lengths)  # type: ignore[arg-type]


def test_vectors_in_place_of_sequences_are_named(model: TicalClassifier) -> None:
    with pytest.raises(UserError, match=r"in fit it was \(samples, steps, 2\)"):
        model.predict({"text": np.ones((3, 2))})


def test_a_width_that_heads_cannot_share_is_named() -> None:
    with pytest.raises(UserError, match="hidden = 10: sequences need a multiple of 8"):
        TicalClassifier({"hidden": 10}).fit({"text": X}, Y)
