"""A tiny TATAR checkpoint that has been taught to answer: bright pictures score high, in the declared form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from beholder.task import TASKS
from beholder.tatar.answer import write
from beholder.tatar.folder import Loaded, load, save
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.record import LearnedFrom, Record
from beholder.tatar.tiny import TinyConfig, make_tiny

THINK = "Sharp and clean."
STEPS = 60


def taught(folder: Path) -> Path:
    """A checkpoint of both tasks in `folder`; half of what it learned from has reasons, half the number alone."""
    tiny = make_tiny(folder / "start", TinyConfig(width=64, layers=2, vision_width=32, vision_layers=1, max_side=56))
    loaded = load(tiny, dtype=torch.float32)
    rng = np.random.default_rng(0)
    steps = torch.optim.AdamW(loaded.model.parameters(), lr=3e-3)
    loaded.model.train()
    for step in range(STEPS):
        score = rng.uniform(10, 99, 8)
        loss = _loss(loaded, score, THINK if step % 2 else None, TASKS[step // 2 % 2])
        steps.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(loaded.model.parameters(), 1.0)
        steps.step()
    assert loss.item() < 1.5, "it was not taught"
    data = tuple(LearnedFrom(name="grey", task=task, low=0, high=100, n=8, sha256="0" * 64) for task in TASKS)
    record = Record(stage="sft", base="tiny", data=data, seed=0)
    return save(folder / "taught", Loaded(loaded.model.eval(), loaded.processor, record))


def _loss(loaded: Loaded, scores: np.ndarray, think: str | None, task: str) -> torch.Tensor:
    processor = loaded.processor
    chat = processor.apply_chat_template(PROMPTS.messages(task), tokenize=False, add_generation_prompt=True)
    answers = [write(score, think) + processor.tokenizer.eos_token for score in scores]
    images = [Image.new("RGB", (56, 56), (int(2.55 * score),) * 3) for score in scores]
    inputs = processor(text=[chat + each for each in answers], images=images, padding=True, return_tensors="pt")
    [n] = {len(processor.tokenizer(each)["input_ids"]) for each in answers}  # so no padding
    labels = inputs["input_ids"].clone()
    labels[:, :-n] = -100
    return loaded.model(**inputs, labels=labels).loss
