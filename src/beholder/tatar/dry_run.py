"""What a training would need, before it starts: data, prompts and layout checked as it checks them, then an estimate.

No weights are loaded, so a dry run of a large model goes through on a laptop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from transformers import AutoConfig

from beholder.errors import UserError
from beholder.tatar.config import RunConfig, SftRecipe, TinyConfig
from beholder.tatar.estimate import GPUS, USED, Sizes, Work, memory_gib, sizes_of, step_seconds
from beholder.tatar.examples import Example
from beholder.tatar.folder import load_processor
from beholder.tatar.grpo import layout_of, read_asked
from beholder.tatar.grpo_config import GrpoRecipe
from beholder.tatar.picture import fit_of, open_picture
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.sft import read_material
from beholder.tatar.tiny import make_tiny

SAMPLE = 32
"""Pictures that are opened and counted in tokens."""


@dataclass(frozen=True)
class Tokens:
    """Of chats, on average over a sample."""

    prompt: float
    """Those of the picture included."""
    visual: float
    answer: float


def dry_run_sft(recipe: SftRecipe, devices: int = 1) -> list[str]:
    """What `train_sft` would need on `devices`, line by line. Raises UserError as it would before its first step."""
    material = read_material(recipe)
    share, rest = divmod(recipe.batch, devices * recipe.device_batch)
    if rest or not share:
        raise UserError(
            f"batch = {recipe.batch} does not divide among {devices} devices with device_batch = {recipe.device_batch}"
        )
    sizes, tokens = _look(recipe, material.examples)
    work = Work(
        chats=recipe.batch // devices,
        rows=recipe.device_batch,
        prompt=tokens.prompt,
        visual=tokens.visual,
        answer=tokens.answer,
        all_logits=True,
        checkpointing=recipe.checkpointing,
        half=recipe.lora is not None and recipe.bf16,
    )
    steps = len(material.draws) // recipe.batch
    data = f"data: {_counts(material.examples)}; {steps} steps of {recipe.batch}"
    return [data, *_lines(recipe, sizes, tokens, work, steps, devices)]


def dry_run_grpo(recipe: GrpoRecipe, devices: int = 1) -> list[str]:
    """What `train_grpo` would need on `devices`, line by line. Raises UserError as it would before its first step.

    Completions are counted at their longest, so the time is an upper limit of what the estimate can say.
    """
    asked = read_asked(recipe, devices)
    layout = layout_of(recipe, devices)
    examples = [example for found in asked.sets for example in found]
    sizes, tokens = _look(recipe, examples)
    drawn = layout.per_device * layout.group
    work = Work(
        chats=drawn,
        rows=recipe.device_batch,
        prompt=tokens.prompt,
        visual=tokens.visual,
        answer=recipe.sampling.max_tokens,
        all_logits=False,
        drawn=drawn,
        pictures=layout.per_device,
        reference=recipe.beta > 0,
        checkpointing=recipe.checkpointing,
        half=recipe.lora is not None and recipe.bf16,
    )
    data = (
        f"data: {_counts(examples)}; {recipe.steps} steps of {recipe.pictures} pictures x {recipe.group} completions "
        f"of at most {recipe.sampling.max_tokens} tokens"
    )
    return [data, *_lines(recipe, sizes, tokens, work, recipe.steps, devices)]


def _look(recipe: RunConfig, examples: Sequence[Example]) -> tuple[Sizes, Tokens]:
    """Sizes of the model and tokens of its chats; a tiny model is made and thrown away."""
    with TemporaryDirectory() as folder:
        name = recipe.model
        if isinstance(name, TinyConfig):
            name = str(make_tiny(Path(folder), name, texts=[example.answer() for example in examples]))
        processor = load_processor(name, recipe.pixels)
        sizes = sizes_of(_config(name), recipe.lora.rank if recipe.lora else None)
    return sizes, count_tokens(processor, examples[:: max(1, len(examples) // SAMPLE)])


def count_tokens(processor: Any, examples: Sequence[Example]) -> Tokens:
    """Mean tokens of prompt, picture and answer of some examples, as the processor counts them."""
    fit = fit_of(processor)
    prompts, visuals, answers = [], [], []
    for example in examples:
        chat = processor.apply_chat_template(PROMPTS.messages(example.task), add_generation_prompt=True, tokenize=False)
        bare = len(processor.tokenizer(chat)["input_ids"])
        seen = processor(text=[chat], images=[open_picture(example.path, fit)])
        prompts.append(len(seen["input_ids"][0]))
        visuals.append(len(seen["input_ids"][0]) - bare + 1)  # one token stood for the picture
        answers.append(len(processor.tokenizer(example.answer())["input_ids"]) + 1)
    return Tokens(fmean(prompts), fmean(visuals), fmean(answers))


def _config(name: str) -> Any:
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise UserError(f"the configuration of {name!r} can't be read: {str(error).splitlines()[0]}") from None


def _lines(recipe: RunConfig, sizes: Sizes, tokens: Tokens, work: Work, steps: int, devices: int) -> list[str]:
    how = f"LoRA of rank {recipe.lora.rank}" if recipe.lora else "all weights" + (", ZeRO-3" if devices > 1 else "")
    parts = memory_gib(sizes, work, devices)
    gib = sum(parts.values())
    listed = ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
    lines = [
        f"chat: {tokens.prompt:.0f} tokens, of them {tokens.visual:.0f} the picture; {tokens.answer:.0f} to answer",
        f"model: {_millions(sizes.total)} parameters, {_millions(sizes.learned)} learned ({how})",
        f"memory per GPU: about {gib:.1f} GiB: {listed}",
    ]
    for gpu in GPUS:
        time = duration(steps * step_seconds(sizes, work, gpu))
        fits = "" if gib < 0.95 * gpu.gib else f"; it does not fit: {_advice(recipe, devices)}"
        lines.append(f"{devices} x {gpu.name}: about {time}{fits}")
    lines.append(f"These are counts, not measurements: a GPU is taken to reach {USED:.0%} of its peak.")
    return lines


def _advice(recipe: RunConfig, devices: int) -> str:
    if recipe.lora is None and devices == 1:
        return "try lora, or more GPUs with ZeRO-3"
    return "try a smaller device_batch or smaller pixels"


def _counts(examples: Sequence[Example]) -> str:
    tasks = [example.task for example in examples]
    return ", ".join(f"{tasks.count(task):,} pictures of {task}" for task in dict.fromkeys(tasks))


def _millions(n: int) -> str:
    return f"{n / 1e9:.2f} billion" if n >= 1e9 else f"{n / 1e6:.1f} million"


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use.

    >>> duration(50), duration(5400), duration(200_000)
    ('50 s', '90 min', '56 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} h"
