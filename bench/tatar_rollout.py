"""What GRPO's rollout costs when a group shares its prefix, against TRL's own: one trainer, the same prompts and seed.

python bench/tatar_rollout.py [--pictures 2] [--group 8] [--runs 5]

The model has the architecture of Qwen2.5-VL and few random weights; the prompt has about 1,000 tokens, most of them the
picture's. Timed is what the trainer calls: reading pictures into tensors, encoding them, the prompt, and sampling.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from record import Table, at_least, busy_share, publish, script

from beholder.tatar.config import TinyConfig
from beholder.tatar.examples import Example
from beholder.tatar.folder import LearnedFrom, load
from beholder.tatar.grpo import Asked, make_trainer, trainer_arguments
from beholder.tatar.grpo_config import GrpoRecipe
from beholder.tatar.layout import Place
from beholder.tatar.tiny import make_tiny

SIDE = 28 * 29
"""Pixels; 841 visual tokens."""
TOKENS = {"prefill (1 token)": 1, "64 tokens": 64}
LEAST_GAIN = 2.0


def make(folder: Path, pictures: int, group: int) -> Any:
    """A trainer on pictures rendered into `folder`, and a tiny model that sees them whole."""
    rng = np.random.default_rng(0)
    examples = []
    for i in range(pictures):
        corner = rng.uniform(0, 255, (2, 2, 3)).astype(np.uint8)
        Image.fromarray(corner).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
        examples.append(Example(folder / f"{i}.png", "quality", 50.0, None))
    model = make_tiny(folder / "model", TinyConfig(max_side=SIDE, context=2048))
    recipe = GrpoRecipe.model_validate(
        {
            "name": "bench", "model": str(model), "data": [{"manifest": "unused"}], "pictures": pictures,
            "group": group, "device_batch": pictures * group, "steps": 1, "beta": 0, "bf16": False,
            "checkpointing": False, "sampling": {"max_tokens": 1},
        }
    )  # fmt: skip
    source = LearnedFrom(name="bench", task="quality", low=0, high=100, n=pictures, sha256="0")
    asked = Asked([examples], [source], [Place(0, i) for i in range(pictures)])
    return make_trainer(recipe, load(model, dtype=torch.float32), asked, trainer_arguments(recipe, folder / "run"))


def time_rollouts(trainer: Any, group: int, runs: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each rollout, in turn against slow drifts, after one that warms up; the same samples, checked."""
    rows = [row for row in trainer.train_dataset for _ in range(group)]
    chats = [with_picture(row) for row in rows]
    ours = trainer.rollout_func
    seconds: dict[str, dict[str, list[float]]] = {what: {"TRL": [], "shared": []} for what in TOKENS}
    for what, n_tokens in TOKENS.items():
        trainer.generation_config.max_new_tokens = trainer.generation_kwargs["max_new_tokens"] = n_tokens
        for run in range(runs + 1):
            samples = []
            for name, rollout in (("TRL", None), ("shared", ours)):
                trainer.rollout_func = rollout
                torch.manual_seed(run)
                start = time.perf_counter()
                samples.append(trainer._generate(chats)[1])
                if run:
                    seconds[what][name].append(time.perf_counter() - start)
            if samples[0] != samples[1]:
                raise AssertionError(f"seed {run}: the two rollouts sampled differently")
    return seconds


def with_picture(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A chat of the data set with its picture in its place, as the trainer puts it there."""
    part = {"type": "image", "image": row["image"]}
    return [
        {**message, "content": [part if piece["type"] == "image" else piece for piece in message["content"]]}
        for message in row["prompt"]
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    busy = busy_share()
    with tempfile.TemporaryDirectory() as folder:
        trainer = make(Path(folder), options.pictures, options.group)
        seconds = time_rollouts(trainer, options.group, options.runs)
        row = trainer.train_dataset[0]
        prompt = trainer.processing_class.apply_chat_template(
            [with_picture(row)], add_generation_prompt=True, tokenize=True, return_dict=True
        )
        n_prompt = len(prompt["input_ids"][0])
    medians = {what: {name: median(found) for name, found in of.items()} for what, of in seconds.items()}
    gains = {what: found["TRL"] / found["shared"] for what, found in medians.items()}
    publish(
        "tatar-rollout",
        "Seconds of a rollout, TRL's own and with shared prefixes",
        Table(
            ("Completions", "TRL", "shared", "times faster"),
            [
                (what, f"{found['TRL']:.2f}", f"{found['shared']:.2f}", f"{gains[what]:.1f}")
                for what, found in medians.items()
            ],
        ),
        measured={
            "seconds": seconds, "gain": gains, "pictures": options.pictures, "group": options.group,
            "prompt_tokens": n_prompt,
        },
        limits=[at_least("prefill, times faster", gains["prefill (1 token)"], LEAST_GAIN)],
        notes=[
            f"{options.pictures} pictures x {options.group} completions, prompts of {n_prompt} tokens, one thread, "
            f"median of {options.runs}. Both sampled the same tokens.",
        ],
        busy_before=busy,
    )  # fmt: skip


if __name__ == "__main__":
    script(main)
