from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted_emotions import FAST, Planted, plant
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from beholder.errors import UserError
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS
from beholder.tical.folder import load, save


@pytest.fixture(scope="module")
def data() -> Planted:
    return plant(2300)


@pytest.fixture(scope="module")
def fresh(data: Planted) -> Planted:
    return data.take(slice(1500, None))


@pytest.fixture(scope="module")
def models(data: Planted) -> dict[str, TicalClassifier]:
    learn = data.take(slice(0, 1500))
    made = {name: TicalClassifier({**VARIANTS[name], **FAST}) for name in ("published", "attribution")}
    return {name: model.fit(learn.x, learn.y, groups=learn.group) for name, model in made.items()}


@pytest.fixture(params=["published", "attribution"])
def model(request: pytest.FixtureRequest, models: dict[str, TicalClassifier]) -> TicalClassifier:
    return models[request.param]


def test_planted_conflict_is_found(model: TicalClassifier, fresh: Planted) -> None:
    doubt = 1 - model.assess(fresh.x)["consistency"]
    assert roc_auc_score(fresh.conflict, doubt) > 0.9


def test_it_tells_the_label(model: TicalClassifier, fresh: Planted) -> None:
    assert (model.predict(fresh.x) == fresh.y).mean() > 0.9


def test_attributed_pseudo_labels_name_what_was_planted(models: dict[str, TicalClassifier], fresh: Planted) -> None:
    told = models["attribution"].pseudo_labels(fresh.x)["voice"].argmax(axis=1)
    assert (told == fresh.shown["voice"])[fresh.conflict].mean() > 0.8


def test_a_sample_is_told_the_same_in_any_batch_and_order(model: TicalClassifier, fresh: Planted) -> None:
    order = np.random.default_rng(0).permutation(len(fresh.y))[:37]
    some = {m: x[order] for m, x in fresh.x.items()}
    whole, part = model.assess(fresh.x), model.assess(some)
    for column in ("consistency", "confidence", "voice_typicality"):
        assert part[column] == pytest.approx(whole[column][order], abs=1e-5)


def test_a_missing_modality_is_done_without(model: TicalClassifier, fresh: Planted) -> None:
    report = model.assess({"voice": None, "face": fresh.x["face"]})
    assert (report["pred"].astype(int) == fresh.y).mean() > 0.8
    assert np.isnan(report["consistency"]).all()
    assert not report["consistency_known"].any()
    assert set(report["voice_pseudo"]) == {""}


def test_a_sample_without_any_modality_keeps_its_row(model: TicalClassifier, fresh: Planted) -> None:
    x = {m: values[:3].copy() for m, values in fresh.x.items()}
    x["voice"][1], x["face"][1] = np.nan, np.nan
    report = model.assess(x)
    assert report["status"].tolist() == ["ok", "no_modality", "ok"]
    assert report["pred"][1] == ""
    assert np.isnan(report["confidence"][1])
    with pytest.raises(UserError, match="row 1 has no modality"):
        model.predict(x)


def test_a_saved_model_tells_the_same(model: TicalClassifier, fresh: Planted, tmp_path: Path) -> None:
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.predict_proba(fresh.x) == pytest.approx(model.predict_proba(fresh.x), abs=1e-6)
    first, second = model.assess(fresh.x), again.assess(fresh.x)
    assert second["consistency"] == pytest.approx(first["consistency"], abs=1e-6)
    assert second["pred"].tolist() == first["pred"].tolist()


def test_a_model_is_there_as_a_whole_or_not_at_all(
    model: TicalClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("beholder.tical.folder.save_file", full)
        with pytest.raises(OSError, match="No space"):
            save(model, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "m").mkdir()  # an empty one is no obstacle
    save(model, tmp_path / "m")
    assert [file.name for file in tmp_path.iterdir()] == ["m"]
    load(tmp_path / "m")


def test_changed_weights_are_refused(model: TicalClassifier, tmp_path: Path) -> None:
    save(model, tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\1\0")
    with pytest.raises(UserError, match=r"is not the file that card\.json describes"):
        load(tmp_path / "m")


def test_the_nearest_anchors_are_named_by_their_ids(data: Planted, tmp_path: Path) -> None:
    learn = data.take(slice(0, 600))
    x = {m: values.copy() for m, values in learn.x.items()}
    x["voice"][7] = np.nan
    ids = np.array([f"clip {row}" for row in range(600)])
    model = small(learning_rate=0.01).fit(x, learn.y, groups=learn.group, ids=ids)
    anchors = set(model.anchor_ids_["voice"])
    rows = [int(name.split()[1]) for name in anchors]
    # Rows of the caller, and not of the part that was learned from: each is nearest to itself.
    told = model.assess(x)["voice_anchor_ids"]
    assert [told[row].split(", ")[0] for row in rows] == [f"clip {row}" for row in rows]
    assert told[7] == ""
    assert {name for row in told if row for name in row.split(", ")} <= anchors
    assert all(len(row.split(", ")) == 3 for row in told if row)
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").assess(x)["voice_anchor_ids"].tolist() == told.tolist()
    with pytest.raises(UserError, match=r"ids have shape \(3,\) for 600 samples"):
        small().fit(x, learn.y, ids=["a", "b", "c"])


def test_without_anchors_none_are_named(models: dict[str, TicalClassifier], fresh: Planted) -> None:
    report = models["attribution"].assess(fresh.x)
    assert [name for name in report if name.endswith("anchor_ids")] == []


def small(**settings: object) -> TicalClassifier:
    return TicalClassifier({**FAST, "epochs": 3, "warmup_epochs": 2, **settings})


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name not in ("published", "attribution")])
def test_every_variant_learns(variant: str, data: Planted) -> None:
    learn, tell = data.take(slice(0, 600)), data.take(slice(1500, 1800))
    shown = {m: np.eye(6)[e] for m, e in learn.shown.items()}
    model = small(**VARIANTS[variant], learning_rate=0.01).fit(learn.x, learn.y, groups=learn.group, unimodal_y=shown)
    assert (model.predict(tell.x) == tell.y).mean() > 0.6


@pytest.mark.parametrize("typicality", ["radius_in", "radius_out", "frechet"])
def test_typicality_by_radius_and_by_the_class_mean_is_a_rank(typicality: str, data: Planted, tmp_path: Path) -> None:
    learn = data.take(slice(0, 400))
    model = small(typicality=typicality).fit(learn.x, learn.y)
    t = model.assess(learn.x)["voice_typicality"]
    assert 0 < t.min() < 0.1 < 0.9 < t.max() <= 1
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").assess(learn.x)["voice_typicality"] == pytest.approx(t, abs=1e-6)


def test_the_same_seed_gives_the_same_numbers(data: Planted) -> None:
    learn = data.take(slice(0, 300))
    told = [small().fit(learn.x, learn.y).predict_proba(learn.x) for _ in range(2)]
    assert np.array_equal(told[0], told[1])


def test_every_part_of_the_loss_is_learned(data: Planted) -> None:
    learn = data.take(slice(0, 300))
    model = small().fit(learn.x, learn.y)
    assert set(model.fit_.losses) == {"fused", "unimodal_0", "unimodal_1", "pair_0"}
    untrained = small(epochs=1, warmup_epochs=1, learning_rate=1e-9).fit(learn.x, learn.y)
    assert all(model.fit_.losses[part] < untrained.fit_.losses[part] for part in model.fit_.losses)


def test_soft_labels_and_rare_classes_are_taken(data: Planted) -> None:
    learn = data.take(slice(0, 300))
    votes = np.eye(6)[learn.y] * 5 + 1
    votes[:, 5] = 0  # nobody ever named it
    model = small().fit(learn.x, votes, classes=list("ADFHNS"))
    assert model.classes_.tolist() == list("ADFHNS")
    assert model.fit_.fallback["voice"] == [5]
    assert np.isfinite(model.assess(learn.x)["consistency"]).all()


def test_one_modality_and_three_are_taken(data: Planted) -> None:
    learn = data.take(slice(0, 300))
    one = small().fit({"face": learn.x["face"]}, learn.y).assess({"face": learn.x["face"]})
    assert np.isnan(one["consistency"]).all()
    three = {**learn.x, "constant": np.ones((300, 2))}
    report = small(**VARIANTS["attribution"], learning_rate=0.01).fit(three, learn.y).assess(three)
    assert {"voice__face_agreement", "voice__constant_gate"} <= set(report)
    assert (report["pred"].astype(int) == learn.y).mean() > 0.6


def test_modalities_may_be_missing_in_training(data: Planted) -> None:
    learn = data.take(slice(0, 600))
    x = {m: values.copy() for m, values in learn.x.items()}
    x["voice"][::3] = np.nan
    for variant in ("published", "attribution"):
        told = small(**VARIANTS[variant], learning_rate=0.01).fit(x, learn.y).predict(x)
        assert (told == learn.y).mean() > 0.6


def test_it_is_cloned_as_scikit_learn_does() -> None:
    model = TicalClassifier({"epochs": 3}, seed=4)
    assert clone(model).get_params() == model.get_params()


X = {"voice": np.zeros((4, 2)), "face": np.zeros((4, 3))}


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ({}, [0, 1, 0, 1], "no modality"),
        ({"voice": np.zeros((4, 2, 2, 2))}, [0, 1, 0, 1], r"'voice' has shape \(4, 2, 2, 2\)"),
        ({"voice": np.zeros((4, 2)), "face": np.zeros((3, 2))}, [0, 1, 0, 1], "unequal rows: voice 4, face 3"),
        ({"voice": np.array([[1, np.nan], [1, 1], [1, 1], [1, 1]])}, [0, 1, 0, 1], "NaN in a part of row 0"),
        ({"voice": np.array([[1], [1], [np.inf], [1]])}, [0, 1, 0, 1], "infinite in row 2"),
        ({"voice": np.full((4, 2), np.nan)}, [0, 1, 0, 1], "missing in all training samples"),
        (X, [0, 1, 0], "3 labels for 4 samples"),
        (X, [1, 1, 1, 1], "every label is"),
        (X, [[1, 0], [0, 0], [1, 0], [1, 0]], "row 1 are all 0"),
    ],
)
def test_what_cannot_be_learned_from_is_named(x: dict[str, np.ndarray], y: list[object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        TicalClassifier({"inner_folds": 2}).fit(x, y)


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(UserError, match="setting epoch: Extra inputs"):
        TicalClassifier({"epoch": 3}).fit(X, [0, 1, 0, 1])


def test_other_features_than_in_fit_are_named(model: TicalClassifier) -> None:
    with pytest.raises(UserError, match="'voice' has 2 features; in fit it had 8"):
        model.predict({"voice": np.zeros((1, 2))})
    with pytest.raises(UserError, match="'txt' was not there in fit"):
        model.predict({"txt": np.zeros((1, 2))})
