from pathlib import Path

import numpy as np
import pytest
import torch
from nano_uniqa import tiny_model, write_bright

from beholder.errors import UserError
from beholder.evaluate.correlation import srcc
from beholder.uniqa.adapt import Run, default_epochs, learn
from beholder.uniqa.config import LearnConfig, ViewConfig
from beholder.uniqa.holdout import hold_out
from beholder.uniqa.material import Material, predict

VIEW = ViewConfig()


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Material:
    manifest = write_bright(tmp_path_factory.mktemp("adapt") / "set", "quality", ["train"] * 30 + ["test"] * 10)
    return Material.of(manifest, VIEW, keep=True)


def config(**changes: object) -> LearnConfig:
    return LearnConfig.model_validate(
        {"features": "grid", "epochs": 4, "learning_rate": 1e-2, "hold_out": 0.0} | changes
    )


def test_an_adapter_learns_to_rate_pictures_it_has_not_seen(material: Material, tmp_path: Path) -> None:
    model = tiny_model()
    train, test = material.take(np.arange(30)), material.take(np.arange(30, 40))
    mos = test.manifest.unit_scores()
    learned = learn(model, train, config(epochs=40), Run(tmp_path, 1))
    assert srcc(predict(learned.last, test), mos) > 0.8
    assert learned.loss[-1] < learned.loss[0] / 2
    assert learned.held_out_srcc is None
    assert learned.best is learned.last


def test_the_adapter_alone_learns_and_the_given_model_stays_as_it_is(material: Material, tmp_path: Path) -> None:
    model = tiny_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    learned = learn(model, material, config(), Run(tmp_path, 1)).last
    after = learned.state_dict()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("encoder."))
    assert not torch.equal(before["levels.quality"], after["levels.quality"])
    assert "quality" in learned.adapters
    assert "aesthetics" not in learned.adapters


def test_fine_tuning_moves_the_image_tower_and_leaves_the_texts(material: Material, tmp_path: Path) -> None:
    model = tiny_model()
    learned = learn(model, material, config(method="finetune", features="online", epochs=1), Run(tmp_path, 1)).last
    moved = {
        name
        for name, value in model.state_dict().items()
        if name.startswith("encoder.") and not torch.equal(value, learned.state_dict()[name])
    }
    assert any("vision_model.encoder" in name for name in moved)
    assert any("visual_projection" in name for name in moved)
    assert [name for name in moved if "text" in name or "logit" in name] == []
    assert not any(parameter.requires_grad for parameter in learned.encoder.parameters())


def test_the_chosen_epoch_is_the_best_on_the_held_out_part(material: Material, tmp_path: Path) -> None:
    learned = learn(tiny_model(), material, config(hold_out=0.2, epochs=6), Run(tmp_path, 1))
    assert learned.held_out_srcc is not None
    assert learned.best is not learned.last
    held = material.take(hold_out(material.manifest, 0.2, 1)[1])
    found = [srcc(predict(one, held), held.manifest.unit_scores()) for one in (learned.best, learned.last)]
    assert found[0] == pytest.approx(learned.held_out_srcc, abs=1e-6)
    assert found[0] >= found[1] - 1e-6


def test_the_same_seed_learns_the_same(material: Material, tmp_path: Path) -> None:
    def scores(name: str, seed: int) -> np.ndarray:
        return predict(
            learn(tiny_model(), material, config(features="online"), Run(tmp_path / name, seed)).last, material
        )

    first = scores("a", 1)
    assert np.array_equal(first, scores("b", 1))
    assert not np.array_equal(first, scores("c", 2))


def test_one_file_under_two_names_can_not_teach_and_choose(material: Material, tmp_path: Path) -> None:
    twin = material.manifest.with_columns({"path": [*material.manifest.column("path")[:39], "../set/0.png"]})
    held = {seed: set(hold_out(twin, 0.3, seed)[1].tolist()) for seed in range(20)}
    seed = next(seed for seed, rows in held.items() if len(rows & {0, 39}) == 1)
    with pytest.raises(UserError, match="share a picture"):
        learn(tiny_model(), Material.of(twin, VIEW), config(hold_out=0.3, epochs=1), Run(tmp_path, seed))


def test_a_picture_that_can_not_be_read_has_no_score_and_can_not_be_learned_from(tmp_path: Path) -> None:
    manifest = write_bright(tmp_path / "set", "quality", ["train"] * 6)
    (tmp_path / "set" / "2.png").write_bytes(b"no picture")
    material = Material.of(manifest, VIEW)
    scores = predict(tiny_model(), material)
    assert np.flatnonzero(np.isnan(scores)).tolist() == [2]
    with pytest.raises(UserError, match=r"2.png can't be read"):
        learn(tiny_model(), material, config(), Run(tmp_path / "run", 0))


def test_epochs_by_the_number_of_pictures() -> None:
    assert [default_epochs(n) for n in (50, 2_000, 2_001, 20_000, 200_000)] == [50, 50, 20, 20, 10]
