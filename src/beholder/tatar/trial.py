"""What a model's own answers are worth: completions of pictures that it did not learn from, read and rewarded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig

from beholder.tatar.answer import Reading, read
from beholder.tatar.examples import Example
from beholder.tatar.folder import Loaded
from beholder.tatar.grpo_config import SamplingConfig
from beholder.tatar.grpo_reward import statistics
from beholder.tatar.picture import fit_of, open_picture
from beholder.tatar.prompts import PROMPTS, Message
from beholder.tatar.rewards import PRESETS, Completion, Preset, reward
from beholder.tatar.rollout import encode, generate_shared, up_to_end


def trial(
    loaded: Loaded,
    examples: Sequence[Example],
    *,
    rewards: Preset = PRESETS["beholder"],
    sampling: SamplingConfig | None = None,
    group: int = 8,
    seed: int = 0,
    batch: int = 8,
) -> dict[str, float]:
    """Statistics, as a training logs them, of `group` completions per picture, all rewarded together.

    Pictures of a task are compared as one data set. `batch`: pictures in memory at once. The same arguments give the
    same completions on the same machine.
    """
    torch.manual_seed(seed)
    found = [
        answer
        for start in range(0, len(examples), batch)
        for answer in _answers(loaded, examples[start : start + batch], sampling or SamplingConfig(), group, rewards)
    ]
    completions = [completion for completion, _ in found]
    rewarded = reward(completions, rewards)
    return statistics(completions, [reading for _, reading in found], rewarded)


def chat(example: Example, processor: Any) -> list[Message]:
    """The question about a picture, with the picture in its place."""
    messages = PROMPTS.messages(example.task)
    for message in messages:
        for part in message["content"]:
            if part["type"] == "image":
                part["image"] = open_picture(example.path, fit_of(processor))
    return messages


def _answers(
    loaded: Loaded, examples: Sequence[Example], sampling: SamplingConfig, group: int, rewards: Preset
) -> list[tuple[Completion, Reading]]:
    tokenizer, ends = loaded.processor.tokenizer, loaded.end_tokens
    config = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=sampling.max_tokens,
        do_sample=True,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        eos_token_id=ends,
        pad_token_id=tokenizer.pad_token_id,
        suppress_tokens=[loaded.model.config.image_token_id],
    )
    inputs = encode(loaded.processor, [chat(example, loaded.processor) for example in examples])
    rows = generate_shared(loaded.model, inputs.to(loaded.model.device), group, config)
    answers = []
    for place, row in enumerate(rows):
        ids, example = up_to_end(row, ends), examples[place // group]
        text = tokenizer.decode(ids, skip_special_tokens=True)
        found = read(text, cut=ids[-1] not in ends, require_reasons=rewards.require_reasons)
        about = (example.task, example.task, str(example.path), example.target)
        answers.append((Completion(*about, found.score, found.n_words, len(text.split())), found))
    return answers
