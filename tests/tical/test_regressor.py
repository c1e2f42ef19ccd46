from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_sentiment import FAST, plant_numbers
from sklearn.base import clone

from beholder.errors import UserError
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS
from beholder.tical.folder import load, save
from beholder.tical.levels import level_values, levels_of
from beholder.tical.regressor import TicalRegressor

X, Y, GROUP = plant_numbers()
NEW, NEW_Y, _ = plant_numbers(300, seed=1)


@pytest.fixture(scope="module", params=["published", "attribution"])
def model(request: pytest.FixtureRequest) -> TicalRegressor:
    return TicalRegressor({**VARIANTS[request.param], **FAST}).fit(X, Y, groups=GROUP)


def test_classes_of_a_number_meet_at_the_edges() -> None:
    assert level_values([-0.7, -0.1, 0.1, 0.7]) == pytest.approx([-1.0, -0.4, 0.0, 0.4, 1.0])
    soft = levels_of([-1.0, -0.1, 0.0, 0.11, np.nan], [-0.1, 0.1])
    assert np.nan_to_num(soft, nan=9).tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]]


def test_it_tells_the_number(model: TicalRegressor) -> None:
    told = model.predict(NEW)
    assert np.abs(told - NEW_Y).mean() < 0.75  # the mean of the training part: 1.5
    assert model.score(NEW, NEW_Y) > 0.6  # of scikit-learn: R squared


def test_a_modality_by_itself_shows_a_number_too(model: TicalRegressor) -> None:
    report = model.assess(NEW)
    assert set(report) >= {"status", "pred", "consistency", "text_typicality", "text__audio_gate"}
    assert np.corrcoef(report["text_pseudo"], NEW_Y)[0, 1] > 0.7
    assert model.pseudo_labels(NEW)["audio"].shape == (300, 7)
    assert np.isfinite(report["consistency"]).all()


def test_disagreement_of_numbers_lowers_consistency(model: TicalRegressor) -> None:
    apart = {"text": NEW["text"], "audio": -NEW["audio"]}
    far = np.abs(NEW_Y) > 1
    together = model.assess(NEW)["consistency"][far].mean()
    assert model.assess(apart)["consistency"][far].mean() < together - 0.1


def test_missing_modalities_and_rows(model: TicalRegressor) -> None:
    told = model.assess({"text": NEW["text"], "audio": None})
    assert np.abs(told["pred"] - NEW_Y).mean() < 1.0
    nothing = {m: values[:2].copy() for m, values in NEW.items()}
    for values in nothing.values():
        values[1] = np.nan
    report = model.assess(nothing)
    assert report["status"].tolist() == ["ok", "no_modality"]
    assert np.isnan(report["pred"][1])
    with pytest.raises(UserError, match="row 1 has no modality"):
        model.predict(nothing)


def test_a_saved_regressor_is_one_again(model: TicalRegressor, tmp_path: Path) -> None:
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert isinstance(again, TicalRegressor)
    assert again.config == model.config
    assert again.predict(NEW) == pytest.approx(model.predict(NEW), abs=1e-6)
    assert again.assess(NEW)["text_pseudo"] == pytest.approx(model.assess(NEW)["text_pseudo"], abs=1e-6)


@pytest.mark.parametrize("fusion", ["concat", "late", "gated", "tensor"])
def test_every_fusion_tells_numbers_on_any_scale(fusion: str) -> None:
    settings = {**VARIANTS["concat"], "fusion": fusion, "label_edges": [20, 40, 60, 80], **FAST}
    label = 50 + 50 / 3 * Y
    told = TicalRegressor(settings).fit(X, label, groups=GROUP).predict(NEW)
    assert np.abs(told - (50 + 50 / 3 * NEW_Y)).mean() < 14  # the mean of the training part: 25


def test_the_epoch_is_chosen_on_the_samples_that_are_given_for_it() -> None:
    settings = {**VARIANTS["concat"], **FAST, "warmup_epochs": 1}
    upside_down = TicalRegressor(settings).fit(X, Y, groups=GROUP, validation=(NEW, -NEW_Y))
    right = TicalRegressor(settings).fit(X, Y, groups=GROUP, validation=(NEW, NEW_Y))
    assert upside_down.fit_.epoch < right.fit_.epoch


def test_patience_ends_training() -> None:
    settings = {**VARIANTS["concat"], **FAST, "warmup_epochs": 1}
    wrong = (NEW, -NEW_Y)
    stopped = TicalRegressor({**settings, "epochs": 200, "patience": 2}).fit(X, Y, groups=GROUP, validation=wrong)
    short = {**settings, "epochs": stopped.fit_.epoch + 2}
    assert stopped.fit_.losses == TicalRegressor(short).fit(X, Y, groups=GROUP, validation=wrong).fit_.losses


def test_given_unimodal_numbers_are_learned() -> None:
    shown = {"text": Y, "audio": -Y}
    settings = {**FAST, "unimodal_targets": "given"}
    model = TicalRegressor(settings).fit(X, Y, groups=GROUP, unimodal_y=shown)
    heads = {m: q @ model.classes_ for m, q in model.head_probabilities(NEW).items()}
    assert np.corrcoef(heads["text"], NEW_Y)[0, 1] > 0.7
    assert np.corrcoef(heads["audio"], NEW_Y)[0, 1] < -0.7


def test_it_is_cloned_as_scikit_learn_does() -> None:
    model = TicalRegressor({"epochs": 3}, seed=4)
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("settings", "y", "says"),
    [
        ({}, Y[:-1], "labels have shape"),
        ({}, np.where(np.arange(600) == 3, np.nan, Y), "the label of row 3 is nan"),
        ({}, ["happy"] * 600, "labels are not numbers: 'happy'"),
        ({}, np.zeros(600), "all labels lie in one class, around 0"),
        ({"label_edges": [1.0]}, Y, "label_edges must be two numbers or more"),
        ({"label_edges": [1.0, 0.0]}, Y, "each larger than the one before"),
        ({"task": "classification"}, Y, "a TicalRegressor is for regression, got 'classification'"),
    ],
)
def test_what_cannot_be_learned_from_is_named(settings: dict[str, object], y: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        TicalRegressor(settings).fit(X, y)  # type: ignore[arg-type]


def test_an_unknown_label_of_validation_is_named() -> None:
    with pytest.raises(UserError, match="no training sample has the label 'c'"):
        TicalClassifier().fit(X, ["a", "b"] * 300, validation=(NEW, ["c"] * 300))
