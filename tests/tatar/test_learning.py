"""SFT, then GRPO, on the tiny model: first the form of answers is learned, then what is rewarded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rated_pictures import write_rated, write_rationales

from beholder.data.catalogue import import_set
from beholder.data.manifest import read_manifest, write_manifest
from beholder.task import TASKS, Task
from beholder.tatar.config import SftRecipe
from beholder.tatar.examples import Example, rated
from beholder.tatar.folder import load
from beholder.tatar.forms import write_forms
from beholder.tatar.grpo import train_grpo
from beholder.tatar.grpo_config import GrpoRecipe, SamplingConfig
from beholder.tatar.sft import train_sft
from beholder.tatar.trial import trial

SHARED = Path(__file__).parents[3] / "shared" / "data"
N_TRAIN, N_TEST = 24, 12
SIZES = {"width": 256, "layers": 2, "vision_width": 32, "vision_layers": 1, "max_side": 56, "vocabulary": 1000}
COMMON = {"name": "toy", "bf16": False, "checkpointing": False, "save_steps": 1000, "threads": 2}
SAMPLING = SamplingConfig(max_tokens=60)
LEAST_PARAMETERS = 2_000_000
MARGIN = 0.1
"""By which GRPO must raise the mean total reward over SFT, on pictures that neither saw."""


def rendered(task: Task, root: Path) -> dict[str, str]:
    """Grey pictures rated by how bright they are, and rationales that say so."""
    made = write_rated(root / task, task, n_train=N_TRAIN, n_test=N_TEST)
    return {"manifest": str(root / task), "rationales": str(write_rationales(made, root / f"{task}.jsonl"))}


def photos(task: Task, root: Path) -> dict[str, str]:
    """Photos of the development data, and two sentences of the template teacher about each of those to learn from."""
    name, folder = {
        "quality": ("biq2021-part", "quality_biq2021"),
        "aesthetics": ("oasis-part", "aesthetics_oasis"),
    }[task]
    if not SHARED.is_dir():
        pytest.skip("the development data is not on this machine")
    whole = import_set(name, SHARED / folder)
    rows = np.random.default_rng(0).permutation(len(whole))[: N_TRAIN + N_TEST]
    splits = pa.array(["train"] * N_TRAIN + ["test"] * N_TEST)
    table = whole.table.take(rows)
    few = replace(whole, table=table.set_column(table.column_names.index("split"), "split", splits))
    write_manifest(few, root / task)
    return {"manifest": str(root / task), "rationales": str(write_forms(read_manifest(root / task), root)["fast"])}


def measured(model: Path, held_back: list[Example]) -> tuple[float, float]:
    """Mean total reward and share of readable answers, both tasks alike."""
    found = trial(load(model), held_back, sampling=SAMPLING, group=8)
    reward, readable = (np.mean([found[f"{task}/{what}"] for task in TASKS]) for what in ("total/mean", "parsed"))
    return float(reward), float(readable)


@pytest.mark.parametrize(
    ("pictures", "epochs"),
    [(rendered, 8), pytest.param(photos, 16, marks=pytest.mark.slow)],  # three minutes of two cores
)
def test_grpo_earns_more_than_sft_on_pictures_that_neither_saw(
    pictures: Callable[[Task, Path], dict[str, str]], epochs: int, tmp_path: Path
) -> None:
    """SFT is short enough to leave something to earn. With the sign of the rewards turned, GRPO ends below it."""
    sets: list[dict[str, str]] = [pictures(task, tmp_path) for task in TASKS]
    held_back = [one for made in sets for one in rated(read_manifest(Path(made["manifest"])).select("test"))]
    common: dict[str, Any] = COMMON | {"data": sets}
    sft = common | {"model": SIZES, "batch": 8, "device_batch": 8, "epochs": epochs}
    sft |= {"optimiser": {"learning_rate": 1.5e-3}}
    taught = train_sft(SftRecipe.model_validate(sft), tmp_path / "sft")
    assert sum(weights.numel() for weights in load(taught).model.parameters()) >= LEAST_PARAMETERS
    reward_before, readable_before = measured(taught, held_back)
    grpo = common | {
        "model": str(taught), "pictures": 8, "group": 8, "device_batch": 64, "steps": 32, "warmup_steps": 2, "beta": 0,
        "optimiser": {"learning_rate": 8e-4}, "sampling": SAMPLING.model_dump(),
    }  # fmt: skip
    rewarded = train_grpo(GrpoRecipe.model_validate(grpo), tmp_path / "grpo")
    reward, readable = measured(rewarded, held_back)
    print(f"reward {reward_before:.3f} -> {reward:.3f}, readable {readable_before:.3f} -> {readable:.3f}")
    assert readable >= 0.9
    assert reward >= reward_before + MARGIN
