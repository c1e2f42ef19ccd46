"""GRPO on the tiny model: it learns what is rewarded, and a killed run goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rated_pictures import write_rated, write_rationales

from beholder.cli import main
from beholder.errors import UserError
from beholder.tatar.config import SftRecipe
from beholder.tatar.folder import load
from beholder.tatar.grpo import LOG_FILE, read_asked, train_grpo
from beholder.tatar.grpo_config import GrpoRecipe, describe
from beholder.tatar.sft import train_sft

SIZES = {"width": 64, "layers": 2, "vision_width": 32, "vision_layers": 1, "max_side": 56, "vocabulary": 700}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Two rated sets of 24 pictures, one per task, with rationales."""
    root = tmp_path_factory.mktemp("sets")
    found = []
    for task in ("quality", "aesthetics"):
        rated = write_rated(root / task, task, n_train=24)
        found.append({"manifest": str(root / task), "rationales": str(write_rationales(rated, root / f"{task}.jsonl"))})
    return found


@pytest.fixture(scope="module")
def taught(sets: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model after a short SFT: most of its answers can be read, few are good."""
    fields = {
        "name": "toy", "model": SIZES, "data": sets, "batch": 8, "device_batch": 8, "bf16": False, "epochs": 12,
        "checkpointing": False, "save_steps": 1000, "optimiser": {"learning_rate": 4e-3},
    }  # fmt: skip
    return train_sft(SftRecipe.model_validate(fields), tmp_path_factory.mktemp("sft"))


def fields(model: Path | str, sets: list[dict[str, str]], **changes: Any) -> dict[str, Any]:
    return {
        "name": "toy", "model": str(model), "data": sets, "bf16": False, "checkpointing": False, "pictures": 8,
        "group": 4, "device_batch": 16, "steps": 4, "warmup_steps": 1, "beta": 0.01, "save_steps": 1,
        "optimiser": {"learning_rate": 1e-3}, "sampling": {"max_tokens": 60},
    } | changes  # fmt: skip


def recipe(model: Path | str, sets: list[dict[str, str]], **changes: Any) -> GrpoRecipe:
    return GrpoRecipe.model_validate(fields(model, sets, **changes))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load(folder).model.state_dict()
    return found


def wait_for(path: Path, run: subprocess.Popen[bytes]) -> None:
    for _ in range(6000):
        if path.exists():
            return
        assert run.poll() is None, "the run ended by itself"
        time.sleep(0.05)
    raise AssertionError(f"no {path.name} after five minutes")


def test_a_killed_run_goes_on_with_the_same_pictures_samples_and_weights(
    taught: Path, sets: list[dict[str, str]], tmp_path: Path
) -> None:
    changes = {"reference_queue": 8}  # which a checkpoint has to keep
    whole = train_grpo(recipe(taught, sets, **changes), tmp_path / "whole")
    file, out = tmp_path / "recipe.yaml", tmp_path / "killed"
    file.write_text(yaml.safe_dump(fields(taught, sets, **changes)))
    command = [sys.executable, "-m", "beholder", "train", "tatar-grpo", str(file), "-o", str(out)]
    run = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)
    try:
        wait_for(out / "checkpoints/checkpoint-2/trainer_state.json", run)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert not (out / "model").exists()
    assert main(["train", "tatar-grpo", str(file), "-o", str(out)]) == 0
    before, after = weights(whole), weights(out / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)
    logs = [json.loads((folder / LOG_FILE).read_text()) for folder in (tmp_path / "whole", out)]
    assert [entry["step"] for entry in logs[1]] == [1, 2, 3, 4]
    unlike = {"step_time"}
    assert [{k: v for k, v in entry.items() if k not in unlike} for entry in logs[1]] == [
        {k: v for k, v in entry.items() if k not in unlike} for entry in logs[0]
    ]
    started = weights(taught)
    assert any(not torch.equal(started[name], after[name]) for name in after)
    with pytest.raises(UserError, match=r"recipe\.group was 4 and is 8"):
        train_grpo(recipe(taught, sets, group=8, **changes), out)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pictures": 6, "device_batch": 12}, "3 of the 6 pictures of a step are of aesthetics"),
        ({"model": SIZES}, "GRPO starts from a model that can answer"),
        ({"device_batch": 24}, "try batch: 16"),
        ({"gt_noise": "mos_std"}, "24 of 24 pictures of bright-aesthetics have no score_std"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(
    sets: list[dict[str, str]], tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        train_grpo(GrpoRecipe.model_validate(fields("none", sets) | changes), tmp_path / "run")
    assert not (tmp_path / "run/checkpoints/checkpoint-1").exists()


def test_unknown_rewards_are_refused_with_those_there_are(sets: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="rewards = 'best'; known are paper, released_code, beholder"):
        recipe("none", sets, rewards="best")


def test_options_that_rewards_do_not_read_are_refused(sets: list[dict[str, str]]) -> None:
    for option in ({"gt_noise": "mos_std"}, {"reference_queue": 32}):
        assert recipe("none", sets, **option).rewards == "beholder"
        with pytest.raises(ValueError, match="for rewards with thurstone: beholder, rank_only, anchored"):
            recipe("none", sets, rewards="paper", **option)


def test_what_runs_is_said_with_its_options(sets: list[dict[str, str]]) -> None:
    quality, aesthetics, reasons = describe(recipe("none", sets, gt_noise="mos_std", reference_queue=32))
    assert quality == "quality: 1 x gaussian + 0.5 x format + 0.25 x length"
    assert aesthetics.endswith("against those of its data set and 32 of the steps before, by how far people agreed")
    assert reasons == "reasons: required, an answer without any counts as unparsed"
    assert describe(recipe("none", sets, rewards="paper"))[-1] == "reasons: optional"
    for chosen in (True, False):
        assert recipe("none", sets, rewards="paper", require_reasons=chosen).preset.require_reasons is chosen


def test_the_schedule_asks_about_training_pictures_of_both_tasks_only(sets: list[dict[str, str]]) -> None:
    asked = read_asked(recipe("none", sets, steps=6), devices=1)
    examples = [asked.example(place) for place in range(len(asked.places))]
    assert [example.task for example in examples[:8]] == ["quality"] * 4 + ["aesthetics"] * 4
    assert len({(example.task, example.path) for example in examples}) == 48  # six steps of eight: each picture once
