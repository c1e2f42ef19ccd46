import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from nano_uniqa import SIZES, write_bright

from beholder.errors import UserError
from beholder.task import level_of
from beholder.uniqa.config import PretrainRecipe
from beholder.uniqa.crops import Pictures, centre_crop, random_crop
from beholder.uniqa.dry_run import check_texts, dry_run_pretrain
from beholder.uniqa.model import Uniqa
from beholder.uniqa.pretrain import Contrast, Draws, make_trainer, pretrain, start_model
from beholder.uniqa.texts import read_unified


@pytest.fixture(scope="module")
def captions(tmp_path_factory) -> Path:
    """24 pictures, each with a text that says how bright it is."""
    root = tmp_path_factory.mktemp("texts") / "set"
    manifest = write_bright(root, "quality", ["train"] * 20 + ["test"] * 4)
    file = root.parent / "captions.jsonl"
    words = ("black", "dark", "grey", "light", "white")
    lines = []
    for name, unit in zip(manifest.column("path"), manifest.unit_scores(), strict=True):
        word = words[min(4, int(5 * unit))]
        row = {"image_id": name, "path": f"set/{name}", "task": "quality", "level": level_of(unit)}
        lines.append(json.dumps({**row, "captions": [f"a {word} thing", f"{word} all over"], "status": "ok"}))
    file.write_text("\n".join(lines) + "\n")
    return file


def recipe(captions: Path, **changes: object) -> PretrainRecipe:
    fields = {
        "kind": "pretrain", "name": "toy", "texts": {"files": [captions]}, "encoder": SIZES, "batch": 8, "epochs": None,
        "steps": 6, "bf16": False, "save_steps": 3, "keep_decoded": True,
        "optimiser": {"learning_rate": 2e-3, "warmup_steps": 0},
    }  # fmt: skip
    return PretrainRecipe.model_validate(fields | changes)


def state(model: Uniqa) -> torch.Tensor:
    return torch.cat([value.float().flatten() for value in model.encoder.state_dict().values()])


def draws(captions: Path, **changes: object) -> Draws:
    settings = recipe(captions, **changes)
    unified = read_unified([captions])
    return Draws(unified, Pictures([picture.path for picture in unified.pictures]), settings, 32)


def test_it_learns_which_text_belongs_to_which_picture(captions: Path, tmp_path: Path) -> None:
    """After training, the words for dark and light pictures are nearer to such pictures."""
    settings = recipe(captions, steps=80, save_steps=100)
    model = pretrain(settings, read_unified([captions]), tmp_path)
    texts = torch.nn.functional.normalize(model.encode_text(["a black thing", "a white thing"]), dim=-1)
    dark, light = (torch.full((1, 3, 32, 32), value) for value in (0.15, 0.8))
    found = torch.nn.functional.normalize(model.encode_image(model.normalise(torch.cat([dark, light]))), dim=-1)
    cosine = found @ texts.T
    assert cosine[0, 0] > cosine[0, 1] + 0.1
    assert cosine[1, 1] > cosine[1, 0] + 0.1


def test_no_batch_holds_a_picture_twice_and_every_epoch_is_another_order(captions: Path) -> None:
    lessons = draws(captions, steps=12)
    rows = np.array([lessons.row(index) for index in range(len(lessons))]).reshape(12, 8)
    assert all(len(set(batch)) == 8 for batch in rows)
    assert not np.array_equal(rows[:3], rows[3:6])


def test_an_item_is_the_same_whenever_and_wherever_it_is_drawn(captions: Path) -> None:
    first, second = draws(captions), draws(captions)
    assert torch.equal(first[13]["rgb"], second[13]["rgb"])
    second[40]
    assert first[2]["text"] == second[2]["text"]


def test_quality_pictures_are_seen_native_as_often_as_asked(captions: Path) -> None:
    whole = draws(captions, native_crop=0.0)
    native = draws(captions, native_crop=1.0)
    picture = whole.pixels[whole.row(3)]
    assert np.array_equal(whole[3]["rgb"].numpy(), centre_crop(picture, 32))
    windows = [picture[y : y + 32, x : x + 32] for y in range(5) for x in range(9)]
    assert any(np.array_equal(native[3]["rgb"].numpy(), window) for window in windows)


def test_a_stopped_run_goes_on_to_the_same_weights(captions: Path, tmp_path: Path) -> None:
    unified = read_unified([captions])
    whole = pretrain(recipe(captions), unified, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "checkpoint-6")
    resumed = pretrain(recipe(captions), unified, tmp_path)
    assert torch.allclose(state(whole), state(resumed), atol=1e-6)
    assert not torch.allclose(state(whole), state(pretrain(recipe(captions, steps=3), unified, tmp_path / "other")))


def test_chunks_end_at_the_same_weights(captions: Path, tmp_path: Path) -> None:
    unified = read_unified([captions])
    optimiser = {"learning_rate": 1e-3, "warmup_steps": 0, "eps": 1e-3}  # large: Adam blows up tiny differences
    whole = pretrain(recipe(captions, optimiser=optimiser), unified, tmp_path / "whole")
    chunked = pretrain(recipe(captions, optimiser=optimiser, chunk=3), unified, tmp_path / "chunked")
    assert torch.allclose(state(whole), state(chunked), atol=1e-5)


def test_the_saved_model_is_frozen_and_its_text_features_are_those_of_the_new_weights(captions, tmp_path) -> None:
    model = pretrain(recipe(captions), read_unified([captions]), tmp_path)
    loaded = Uniqa.load(tmp_path / "model")
    assert torch.equal(state(model), state(loaded))
    assert not any(parameter.requires_grad for parameter in loaded.encoder.parameters())
    prompts = loaded.encode_text(["bad image", "poor image", "fair image", "good image", "perfect image"])
    assert torch.allclose(loaded.text("quality")[0], prompts, atol=1e-5)


def test_only_matrices_decay(captions: Path, tmp_path: Path) -> None:
    settings, unified = recipe(captions), read_unified([captions])
    model = start_model(settings, unified.texts())
    trainer = make_trainer(settings, model, unified, Pictures([p.path for p in unified.pictures]), tmp_path)
    decaying = trainer.get_decay_parameter_names(Contrast(model))
    assert any("fc1.weight" in name for name in decaying)
    assert [name for name in decaying if any(word in name for word in ("norm", "bias", "logit_scale"))] == []


def test_a_batch_larger_than_the_set_is_refused(captions: Path) -> None:
    with pytest.raises(UserError, match="batch = 32 needs as many different pictures and the set has 24"):
        draws(captions, batch=32)


def test_a_test_picture_among_the_texts_is_refused(captions: Path) -> None:
    texts = {"files": [captions], "held_out": [captions.parent / "set"]}
    with pytest.raises(UserError, match="is a test picture of bright-quality"):
        check_texts(recipe(captions, texts=texts))


def test_a_dry_run_tells_data_shapes_memory_and_time_and_leaves_nothing(captions: Path) -> None:
    before = sorted(captions.parent.rglob("*"))
    found = dry_run_pretrain(recipe(captions))
    assert sorted(captions.parent.rglob("*")) == before
    assert found.seconds > 0
    text = "\n".join(found.lines)
    assert "24 pictures, 48 texts" in text
    assert "input 32 px, features 32" in text
    learned = sum(parameter.numel() for parameter in start_model(recipe(captions), ["x"]).encoder.parameters())
    assert found.states_gib == pytest.approx(16 * learned / 2**30, rel=0.2)


def test_a_small_picture_is_enlarged_to_hold_a_crop() -> None:
    small = np.zeros((20, 30, 3), np.uint8)
    assert random_crop(small, 32, np.random.default_rng(0), mirror=True).shape == (32, 32, 3)
    assert centre_crop(small, 32).shape == (32, 32, 3)
