import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from rated_pictures import write_rated, write_rationales
from safetensors.torch import load_file

from beholder.cli import main
from beholder.tatar.config import SftRecipe
from beholder.training.recipe import read_recipe

ROOT = Path(__file__).parents[2]
SFT_RECIPES = sorted((ROOT / "recipes" / "tatar").glob("sft-*.yaml"))
SIZES = {"width": 32, "layers": 1, "vision_width": 32, "vision_layers": 1, "max_side": 56, "vocabulary": 600}


def write_recipe(folder: Path, **changes: object) -> Path:
    """A recipe for a tiny model on one set of 16 pictures, both in `folder`."""
    if not (folder / "set").is_dir():
        write_rationales(write_rated(folder / "set", "quality", n_train=16, n_test=2), folder / "r.jsonl")
    fields = {
        "name": "toy", "model": SIZES,
        "data": [{"manifest": str(folder / "set"), "rationales": str(folder / "r.jsonl")}],
        "batch": 4, "device_batch": 2, "epochs": 3, "bf16": False, "checkpointing": False, "save_steps": 2,
        "optimiser": {"learning_rate": 4e-3},
    }  # fmt: skip
    file = folder / "recipe.yaml"
    file.write_text(yaml.dump(fields | changes))
    return file


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def test_a_killed_run_ends_at_the_weights_of_one_that_was_left_alone(tmp_path: Path):
    recipe, killed, whole = write_recipe(tmp_path), tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", "beholder", "train", "tatar-sft", str(recipe), "-o", str(killed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (killed / "checkpoints" / "checkpoint-4").exists():  # it appears before it is whole
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    assert not (killed / "model").exists()
    assert main(["train", "tatar-sft", str(recipe), "-o", str(killed)]) == 0
    assert main(["train", "tatar-sft", str(recipe), "-o", str(whole)]) == 0
    first, second = weights(killed), weights(whole)
    assert first.keys() == second.keys()
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
    start = load_file(whole / "tiny" / "model.safetensors")
    assert not all(torch.allclose(start[name], second[name], atol=1e-3) for name in second)


@pytest.mark.parametrize("file", SFT_RECIPES, ids=lambda file: file.stem)
def test_every_recipe_of_the_house_is_valid(file: Path):
    assert read_recipe(file, SftRecipe, "recipes/tatar").name == file.stem


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "epoch: Extra inputs are not permitted"),
        ({"model": {"width": 33}}, "multiple of 32"),
        ({"pixels": [900, 800]}, "a smallest and a largest area"),
        ({"batch": 5}, "batch = 5 does not divide"),
        ({"model": "no/such-model-anywhere"}, "can't be loaded"),
        ({"data": [{"manifest": "nowhere"}]}, "does not exist"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    message: str,
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["train", "tatar-sft", str(write_recipe(tmp_path, **changes)), "-o", str(tmp_path / "out")]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("beholder: ")
    assert message in last
