"""Each setting changes what it says it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from planted_emotions import Planted, plant
from torch._subclasses.fake_tensor import FakeTensorMode

from beholder.errors import UserError
from beholder.tical.bundle import Bundle
from beholder.tical.classifier import TicalClassifier
from beholder.tical.config import VARIANTS, TicalConfig
from beholder.tical.conflicts import find_conflicts
from beholder.tical.decoupled import parted_losses
from beholder.tical.evaluation import fit_bundle, mean_consistency, measure_model
from beholder.tical.folder import load, save
from beholder.tical.geometry import distances, lift
from beholder.tical.inputs import Kind
from beholder.tical.network import Network, stage_shares
from beholder.tical.state import embed, forward

FEW = {"epochs": 4, "warmup_epochs": 2, "batch_size": 128, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def data() -> Planted:
    return plant(400)


def fitted(data: Planted, **settings: object) -> TicalClassifier:
    return TicalClassifier({**FEW, **settings}).fit(data.x, data.y, groups=data.group)


def test_a_head_of_distances_learns_and_is_nearest_to_the_prototype_it_tells(data: Planted, tmp_path: Path) -> None:
    model = fitted(data, head="distance", epochs=8)
    told = model.head_probabilities(data.x)["voice"].argmax(axis=1)
    assert (told == data.shown["voice"]).mean() > 0.6
    network = model.fit_.network
    points, _ = embed(network, model.scaler_(data.x))
    away = distances(points["voice"], lift(network.heads[0].tangent.detach(), model.config), model.config)
    assert np.array_equal(away.argmin(dim=1).numpy(), told)
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").predict_proba(data.x) == pytest.approx(model.predict_proba(data.x), abs=1e-6)


def test_curvature_is_learned_stored_and_measured_by(data: Planted, tmp_path: Path) -> None:
    model = fitted(data, head="distance", learn_curvature=True)
    c = model.fit_.network.measured.curvature
    assert abs(c - 1) > 0.01
    assert fitted(data, head="distance").fit_.network.measured.curvature == 1
    save(model, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.fit_.network.measured.curvature == pytest.approx(c)
    assert again.pseudo_labels(data.x)["voice"] == pytest.approx(model.pseudo_labels(data.x)["voice"], abs=1e-6)


@pytest.mark.parametrize("space", ["hyperbolic", "euclidean"])
def test_equal_points_and_the_origin_have_a_finite_gradient(space: str) -> None:
    config = TicalConfig(space=space)
    h = torch.tensor([[0.0, 0.0], [0.3, 0.4], [3.0, 4.0]], requires_grad=True)
    c = torch.tensor(0.7, requires_grad=True) if space == "hyperbolic" else None
    distances(lift(h, config, c), lift(h, config, c), config, c).sum().backward()
    assert h.grad.isfinite().all()
    assert c is None or c.grad.isfinite()


def test_the_ball_is_the_same_with_a_learned_curvature() -> None:
    config, h = TicalConfig(curvature=0.7), torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    c = torch.tensor(0.7)
    assert torch.allclose(lift(h, config), lift(h, config, c), atol=1e-6)
    z = lift(h, config)
    assert torch.allclose(distances(z, z[:2], config), distances(z, z[:2], config, c), atol=1e-6)


def test_groups_of_each_modality_hold_out_its_own_items(data: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    from beholder.tical import fit

    seen: list[np.ndarray] = []
    whole = fit.out_of_fold

    def watched(x, y, n_classes, groups, folds):  # type: ignore[no-untyped-def]
        seen.append(groups)
        return whole(x, y, n_classes, groups, folds)

    monkeypatch.setattr(fit, "out_of_fold", watched)
    actor, item = data.group, np.arange(400) % 90 + 1000
    TicalClassifier({**FEW, "epochs": 1}).fit(data.x, data.y, groups={"voice": actor, "face": item})
    voice, face = seen
    assert set(voice) < set(actor)  # whole actors choose the epoch
    assert set(face) <= set(item)
    assert len(voice) == len(face) == np.isin(actor, voice).sum()


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({"voice": np.arange(400)}, "groups are those of voice; they must be of voice, face"),
        ({"voice": np.arange(400), "face": np.arange(9)}, "9 groups of 'face' for 400 samples"),
        (np.zeros(400), "1 groups of 'voice'; more than inner_folds = 3"),
    ],
)
def test_groups_that_cannot_be_used_are_named(data: Planted, groups: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        TicalClassifier(FEW).fit(data.x, data.y, groups=groups)


def test_thirds_by_consistency_are_told_by_their_stage(data: Planted, tmp_path: Path) -> None:
    model = fitted(data, stages="groups", epochs=6)
    cuts = model.fit_.network.cuts
    assert 0 < cuts[0] < cuts[1] < 1
    assert (model.predict(data.x) == data.y).mean() > 0.6
    x, found = model._assess(data.x, None, None)
    c = torch.from_numpy(found.consistency.value).float()
    share = stage_shares(c, cuts)
    out = forward(model.fit_.network, x, found, model.fit_.reference.prior)
    t = torch.from_numpy(np.stack(list(found.typicality.values()), axis=1)).float()
    first = (torch.stack(out.unimodal, dim=1) * (t / t.sum(dim=1, keepdim=True))[:, :, None]).sum(dim=1)
    rest = out.fused - share[:, [0]] * first - share[:, [1]] * out.pairs[0]
    lowest, highest = share[:, 0] > 0.95, share[:, 2] > 0.9
    assert lowest.any()
    assert highest.any()
    assert float((out.fused - first)[lowest].abs().mean()) < float((out.fused - first)[highest].abs().mean())
    assert float(rest[lowest].abs().mean()) < float(rest[highest].abs().mean()) / 2
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").predict_proba(data.x) == pytest.approx(model.predict_proba(data.x), abs=1e-6)
    one = TicalClassifier({**FEW, "stages": "groups"}).fit({"face": data.x["face"]}, data.y, groups=data.group)
    assert np.isfinite(one.predict_proba({"face": data.x["face"]})).all()


def test_shares_of_stages_sum_to_one_and_meet_at_the_cuts() -> None:
    cuts = torch.tensor([0.4, 0.6])
    share = stage_shares(torch.tensor([0.0, 0.4, 0.5, 0.6, 1.0]), cuts)
    assert share.sum(dim=1).numpy() == pytest.approx(np.ones(5))
    assert (share >= 0).all()
    assert share.argmax(dim=1)[[0, 2, 4]].tolist() == [0, 1, 2]
    assert share[1, 0].item() == pytest.approx(0.5)
    assert share[3, 2].item() == pytest.approx(0.5)
    assert stage_shares(torch.ones(1), torch.full((2,), torch.nan))[0].tolist() == pytest.approx([1 / 3] * 3)


def test_features_are_standardised_within_the_grouping_that_is_named(data: Planted) -> None:
    rng = np.random.default_rng(1)
    speaker = np.arange(400) % 5
    loud = {m: x * rng.uniform(0.2, 5, (5, 8))[speaker] + rng.normal(0, 20, (5, 8))[speaker] for m, x in data.x.items()}
    settings = {**FEW, "epochs": 8, "standardize_by": "speaker"}
    model = TicalClassifier(settings).fit(loud, data.y, groups=data.group, by=speaker)
    report = model.assess(loud, by=speaker)
    assert set(report["standardized_by"]) == {"speaker"}
    assert (report["pred"].astype(int) == data.y).mean() > 0.8
    # Whatever a speaker's mean and scale are, the answers are the same.
    softer = {m: x * 0.5 + 3 for m, x in loud.items()}
    assert model.predict_proba(softer, by=speaker) == pytest.approx(model.predict_proba(loud, by=speaker), abs=1e-6)
    assert "standardized_by" not in fitted(data, epochs=1, warmup_epochs=1).assess(data.x)
    with pytest.raises(UserError, match="needs by, the speaker of each sample"):
        model.predict(loud)
    with pytest.raises(UserError, match="speaker 3 has one sample with 'voice'"):
        model.predict({m: x[:5] for m, x in loud.items()}, by=[0, 0, 1, 1, 3])
    with pytest.raises(UserError, match="names no grouping"):
        TicalClassifier(FEW).fit(data.x, data.y, by=speaker)


def test_of_a_table_the_grouping_is_its_groups(data: Planted) -> None:
    n = len(data.y)
    label = np.array(list("ADFHNS"))[data.y]
    table = Bundle(data.x, np.arange(n), label, data.group % 10, np.where(np.arange(n) % 4, "train", "valid"))
    model = fit_bundle(table, {**FEW, "standardize_by": "group"}, "classification", 0)
    assert measure_model(model, table)["wa"]["value"] > 0.5
    shifted = Bundle({m: x + 9 for m, x in data.x.items()}, table.id, label, table.group, None)
    assert measure_model(model, shifted)["ece"] == pytest.approx(measure_model(model, table)["ece"], abs=1e-4)
    assert find_conflicts(model, shifted, 3).samples[0].id == find_conflicts(model, table, 3).samples[0].id


@pytest.mark.parametrize(("variant", "is_measured"), [("attribution", False), ("published", True)])
def test_conflicts_tell_typicality_only_where_it_is_measured(variant: str, is_measured: bool, data: Planted) -> None:
    model = fitted(data, **VARIANTS[variant])
    table = Bundle(data.x, np.arange(len(data.y)), np.array(list("ADFHNS"))[data.y], None, None)
    told = [shown.typicality for one in find_conflicts(model, table, 5).samples for shown in one.modalities.values()]
    assert len(told) == 10
    assert all((value is not None) == is_measured for value in told)


def test_the_anchor_loss_draws_samples_to_anchors_of_their_class(data: Planted) -> None:
    def gap(model: TicalClassifier) -> float:
        """How much nearer the anchors of the own class are than those of others, over the distance between anchors."""
        points, _ = embed(model.fit_.network, model.scaler_(data.x))
        space = model.fit_.reference.anchors["voice"]
        away = distances(points["voice"], space.points, model.config).numpy()
        own = space.classes[None] == data.shown["voice"][:, None]
        return float((away[~own].mean() - away[own].mean()) / away.mean())

    slow = {"unimodal_targets": "none", "epochs": 6, "warmup_epochs": 1, "learning_rate": 0.005}
    pulled, free = fitted(data, anchor_weight=2.0, **slow), fitted(data, **slow)
    assert {"anchor_0", "anchor_1"} <= set(pulled.fit_.losses)
    assert not {"anchor_0", "anchor_1"} & set(free.fit_.losses)
    assert gap(pulled) > gap(free) + 0.02


def test_where_anchors_are_never_refreshed_nothing_learns_from_them(data: Planted) -> None:
    tau = [fitted(data, anchor_refresh="never", anchors_per_class=n) for n in (64, 8)]
    proba = [model.predict_proba(data.x) for model in tau]
    assert np.array_equal(proba[0], proba[1])
    pseudo = [model.pseudo_labels(data.x)["voice"] for model in tau]
    assert np.abs(pseudo[0] - pseudo[1]).max() > 0.01  # and they are still reported
    assert not np.array_equal(proba[0], fitted(data).predict_proba(data.x))


def test_a_curriculum_learns_one_stage_after_the_other(data: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    from beholder.tical import fit

    seen: list[set[str]] = []
    end = fit._Training.on_epoch_end

    def watched(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        seen.append(set(self.learner.parts))
        end(self, *args, **kwargs)

    monkeypatch.setattr(fit._Training, "on_epoch_end", watched)
    model = fitted(data, stages="curriculum", epochs=6, warmup_epochs=1)
    one, two = {"unimodal_0", "unimodal_1"}, {"unimodal_0", "unimodal_1", "pair_0"}
    assert seen == [one, one, two, two, two | {"fused"}, two | {"fused"}]
    assert model.fit_.epoch >= 5
    assert (model.predict(data.x) == data.y).mean() > 0.6


def test_a_simpler_encoder_is_used_and_stored(data: Planted, tmp_path: Path) -> None:
    """Sequences whose mean tells all: each encoder learns them; a mean sees no order, and gaps are not counted."""
    steps = np.arange(400) % 3 + 1
    voice = [
        np.repeat(row[None], n, axis=0) + np.arange(n)[:, None] for row, n in zip(data.x["voice"], steps, strict=True)
    ]
    x = {"voice": voice, "face": data.x["face"]}
    told = {}
    for encoder in ("full", "pooled", "linear"):
        model = TicalClassifier({**FEW, "epochs": 8, "encoder": encoder, "hidden": 16})
        told[encoder] = model.fit(x, data.y, groups=data.group).predict_proba(x)
        assert (told[encoder].argmax(axis=1) == data.y).mean() > 0.7
        turned = {"voice": [one[::-1] for one in voice], "face": data.x["face"]}
        heads = [model.head_probabilities(one)["voice"] for one in (x, turned)]
        moved = np.abs(heads[0] - heads[1]).max()
        assert (moved < 1e-5) == (encoder != "full")
        save(model, tmp_path / encoder)
        assert load(tmp_path / encoder).predict_proba(x) == pytest.approx(told[encoder], abs=1e-6)
        if encoder == "linear":
            assert isinstance(model.fit_.network.encoders[1], torch.nn.Linear)
    assert np.abs(told["pooled"] - told["linear"]).max() > 0.01
    with pytest.raises(UserError, match="'pooled' is about sequences"):
        fitted(data, encoder="pooled")


def test_a_gpu_that_is_not_there_is_said_before_anything_is_learned(
    data: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device = 'cuda': torch finds no GPU"):
        fitted(data, device="cuda")
    with pytest.raises(UserError, match="setting device"):
        _ = TicalClassifier({"device": "tpu"}).config


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("variant", ["published", "attribution", "dmd-like"])
def test_what_a_gpu_trained_is_asked_on_the_cpu(data: Planted, variant: str, tmp_path: Path) -> None:
    model = fitted(data, **VARIANTS[variant], device="cuda", epochs=8)
    assert {one.device.type for one in model.fit_.network.parameters()} == {"cpu"}
    assert (model.predict(data.x) == data.y).mean() > 0.6
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").predict_proba(data.x) == pytest.approx(model.predict_proba(data.x), abs=1e-6)


@pytest.mark.parametrize("settings", [{}, {"head": "distance", "space": "euclidean"}, VARIANTS["dmd-like"]])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_no_part_of_the_network_stays_on_the_cpu(settings: dict[str, object], task: str) -> None:
    """Fake tensors know their device and no number, and an operation on two devices is an error, without a GPU."""
    with FakeTensorMode():
        config = TicalConfig(**{**settings, "task": task})
        with torch.device("cuda"):
            network = Network(config, {"voice": Kind(3), "face": Kind(4)}, 7)
        x = [torch.zeros(5, width, device="cuda") for width in (3, 4)]
        present, gates, c = torch.ones(5, 2), torch.ones(5, 1), torch.ones(5)
        out = network(x, *(one.to("cuda") for one in (present, gates, c, present)))
        assert {one.device.type for one in (out.fused, *out.unimodal, *out.pairs)} == {"cuda"}
        if out.parted:
            losses = parted_losses(out.parted, torch.ones(5, 7, device="cuda"), present.to("cuda"))
            assert {one.device.type for one in losses.values()} == {"cuda"}


def test_threads_are_those_of_the_process_again_after_a_fit(data: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    from beholder.tical import fit

    before, inside = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        monkeypatch.setattr(fit, "assess", lambda *_: inside.append(torch.get_num_threads()) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            fitted(data, epochs=1)
        assert inside == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_mean_consistency_is_noted_epoch_by_epoch(data: Planted, tmp_path: Path) -> None:
    rows = np.arange(400)
    learn, valid = rows < 300, rows >= 300
    held = ({m: x[valid] for m, x in data.x.items()}, data.y[valid])
    model = TicalClassifier({**FEW, "epochs": 5}).fit(
        {m: x[learn] for m, x in data.x.items()}, data.y[learn], groups=data.group[learn], validation=held
    )
    history = model.fit_.history
    assert [one.epoch for one in history] == [2, 3, 4, 5]
    assert min(history, key=lambda one: one.loss).epoch == model.fit_.epoch
    chosen = model.fit_.chosen
    assert chosen.valid_consistency == pytest.approx(np.nanmean(model.assess(held[0])["consistency"]), abs=1e-6)
    assert chosen.train_consistency == pytest.approx(model.fit_.reference.prior)
    save(model, tmp_path / "m")
    assert load(tmp_path / "m").fit_.history == history
    split = np.where(learn, "train", np.where(rows < 350, "dev", "test"))
    found = mean_consistency(model, Bundle(data.x, rows, data.y, data.group, split))
    assert found["train"] == chosen.train_consistency
    assert found["valid"] == chosen.valid_consistency
    test = model.assess({m: x[rows >= 350] for m, x in data.x.items()})["consistency"]
    assert found["test"] == pytest.approx(np.nanmean(test))
    for refresh in ("once", "never"):
        other = fitted(data, anchor_refresh=refresh).fit_.history
        assert all(one.train_consistency and one.valid_consistency for one in other)
    early = fitted(data, stages="curriculum", epochs=6, warmup_epochs=1).fit_.history
    assert [one.loss is None for one in early] == [True] * 4 + [False] * 2
    alone = TicalClassifier({**FEW, "epochs": 2}).fit({"face": data.x["face"]}, data.y, groups=data.group)
    assert alone.fit_.history[0].train_consistency is None


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"learn_curvature": True}, "learn_curvature needs head 'distance'"),
        ({"learn_curvature": True, "space": "euclidean"}, "has no curvature"),
        ({"learn_curvature": True, "head": "distance", "anchor_refresh": "once"}, "needs anchor_refresh 'epoch'"),
        ({"anchor_weight": 1.0, "anchor_refresh": "never"}, "anchor_weight needs anchor_refresh"),
        ({"head": "distance", "stages": "none", "fusion": "decoupled"}, "has linear heads of its own"),
        ({"stages": "groups", "anchor_refresh": "never"}, "it learns from consistency"),
        ({"stages": "curriculum", "epochs": 2}, "needs 3 epochs"),
        ({"stages": "curriculum", "unimodal_targets": "none"}, "its first stage is them"),
    ],
)
def test_a_choice_without_an_effect_is_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says):
        _ = TicalClassifier(settings).config
