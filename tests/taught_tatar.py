"""A tiny TATAR checkpoint that has been taught to answer in every form: bright pictures score high."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from beholder.task import TASKS, Task
from beholder.tatar.config import TinyConfig
from beholder.tatar.examples import Example
from beholder.tatar.folder import Loaded, load, save
from beholder.tatar.mixing import Form
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.record import LearnedFrom, Record
from beholder.tatar.tiny import make_tiny

THINK = "Sharp and clean."
STEPS = 128
FORMS: tuple[Form, ...] = ("reasons", "number", "reasons", "level")


def taught(folder: Path) -> Path:
    """A checkpoint of both tasks in `folder`; half of what it learned has reasons, so it gives them."""
    tiny = make_tiny(folder / "start", TinyConfig(width=64, layers=2, vision_width=32, vision_layers=1, max_side=56))
    loaded = load(tiny, dtype=torch.float32)
    rng = np.random.default_rng(0)
    steps = torch.optim.AdamW(loaded.model.parameters(), lr=3e-3)
    loaded.model.train()
    for step in range(STEPS):
        score = rng.uniform(10, 99, 8)
        loss = _loss(loaded, score, FORMS[step % 4], TASKS[step // 4 % 2])
        steps.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(loaded.model.parameters(), 1.0)
        steps.step()
    assert loss.item() < 1.5, "it was not taught"
    data = tuple(LearnedFrom(name="grey", task=task, low=0, high=100, n=8, sha256="0" * 64) for task in TASKS)
    record = Record(stage="sft", base="tiny", data=data, seed=0, level_rows=0.25)
    return save(folder / "taught", Loaded(loaded.model.eval(), loaded.processor, record))


def _loss(loaded: Loaded, scores: np.ndarray, form: Form, task: Task) -> torch.Tensor:
    processor = loaded.processor
    messages = PROMPTS.messages(task, level=form == "level")
    chat = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    examples = [Example(Path(), task, float(score), THINK) for score in scores]
    answers = [example.answer(form) + processor.tokenizer.eos_token for example in examples]
    images = [Image.new("RGB", (56, 56), (int(2.55 * score),) * 3) for score in scores]
    inputs = processor(text=[chat + each for each in answers], images=images, padding=True, return_tensors="pt")
    labels = inputs["input_ids"].clone()
    for row, answer in zip(labels, answers, strict=True):
        row[: -len(processor.tokenizer(answer)["input_ids"])] = -100
    return loaded.model(**inputs, labels=labels).loss
