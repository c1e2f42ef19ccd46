"""Supervised fine-tuning on rationales and scores, on TRL's `SFTTrainer` (TATAR, section 5 of our spec).

The trainer is used as it is, but for how a stopped run finds its weights again (`resume`). Its collator pads prompts on
the left and answers on the right whatever the tokenizer's side, and labels the answer alone, up to and with the
end-of-turn token. Ours are the order of examples, which is drawn beforehand, and the checks before the first step.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from beholder.errors import UserError
from beholder.tatar.config import SftRecipe, TinyConfig
from beholder.tatar.examples import Example, check_pictures, read_examples
from beholder.tatar.folder import LearnedFrom, Loaded, Record, save
from beholder.tatar.mixing import Draw, mix
from beholder.tatar.picture import fit_of, open_picture
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.resume import Resumed
from beholder.tatar.start import adapters, load_base, one_process_per_gpu
from beholder.tatar.tiny import make_tiny
from beholder.training.lines import show_lines
from beholder.training.run_folder import CHECKPOINTS, MODEL, claim, last_whole_checkpoint

FULL_LEARNING_RATE, LORA_LEARNING_RATE = 1e-5, 1e-4
TINY = "tiny"
"""Folder of the tiny model that a run started from, if it did."""


@dataclass(frozen=True)
class Material:
    """What a run learns from, checked."""

    examples: Sequence[Example]
    sources: Sequence[LearnedFrom]
    draws: Sequence[Draw]
    """One per place in the order; a whole number of batches."""

    @property
    def digest(self) -> str:
        """sha256 of what is learned about which picture."""
        lines = [f"{example.path.name}\t{example.answer()!r}" for example in self.examples]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_material(recipe: SftRecipe) -> Material:
    """Examples and their order. Raises UserError as `read_examples`, and where a picture can't be read."""
    examples, sources = read_examples(recipe.data, recipe.held_out)
    check_pictures([example.path for example in examples])
    draws = mix(
        [example.task for example in examples],
        batch=recipe.batch,
        quality_share=recipe.quality_share,
        epochs=recipe.epochs,
        think_dropout=recipe.think_dropout,
        level_rows=recipe.level_rows,
        seed=recipe.seed,
    )
    return Material(examples, sources, draws)


def train_sft(recipe: SftRecipe, out: Path, *, on_ready: Callable[[str], None] = lambda _: None) -> Path:
    """The whole run; returns the folder of the model, `out/model`. A stopped run in `out` goes on.

    The same recipe and data give the same steps, whenever the run was stopped. `on_ready` is told what is about to be
    learned. Raises UserError before the first step for everything that is wrong with recipe, data or model.
    """
    torch.set_num_threads(recipe.threads)
    material = read_material(recipe)
    facts = {
        "stage": "sft",
        "recipe": recipe.model_dump(mode="json"),
        "data": {source.name: source.model_dump(mode="json") for source in material.sources},
        "answers": material.digest,
        "prompts": PROMPTS.digest,
    }
    claim(out, facts)
    arguments = trainer_arguments(recipe, len(material.draws), out / CHECKPOINTS)  # ZeRO-3 wants them before the model
    base = start(recipe, material, out)
    trainer = make_trainer(recipe, base, material, arguments)
    n, steps = len(material.examples), arguments.max_steps
    on_ready(f"{n} pictures, {len(material.draws)} draws, {steps} steps of {recipe.batch}")
    last = last_whole_checkpoint(out / CHECKPOINTS)
    show_lines(trainer)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return _finish(trainer, recipe, base, material, out / MODEL)


def start(recipe: SftRecipe, material: Material, out: Path) -> Loaded:
    """The model that training starts from; a tiny one is made in `out`, with a tokenizer that knows the answers."""
    model = recipe.model
    if isinstance(model, TinyConfig):
        texts = [example.answer() for example in material.examples]
        model = str(make_tiny(out / TINY, model, texts=texts, seed=recipe.seed))
    return load_base(recipe, model)


class _Trainer(Resumed, SFTTrainer):  # type: ignore[misc]
    """TRL's, with the weights of its checkpoint."""


def trainer_arguments(recipe: SftRecipe, n_draws: int, out: Path) -> SFTConfig:
    """The recipe as TRL takes it, with checkpoints in `out`. Raises UserError where the batch does not divide."""
    steps = n_draws // recipe.batch
    arguments = SFTConfig(
        output_dir=str(out),
        max_steps=steps,
        learning_rate=recipe.optimiser.learning_rate or (LORA_LEARNING_RATE if recipe.lora else FULL_LEARNING_RATE),
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(recipe.warmup * steps),
        weight_decay=recipe.optimiser.weight_decay,
        max_grad_norm=recipe.optimiser.max_grad_norm,
        per_device_train_batch_size=recipe.device_batch,
        train_sampling_strategy="sequential",  # the draws are in their order already
        max_length=None,  # nothing is ever cut: half an answer teaches not to end
        completion_only_loss=True,
        activation_checkpointing=recipe.checkpointing,
        bf16=recipe.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=2,
        logging_steps=max(1, min(10, steps // 20)),
        disable_tqdm=True,
        dataloader_num_workers=recipe.loaders,
        dataloader_persistent_workers=recipe.loaders > 0,
        remove_unused_columns=False,
        report_to=[],
    )
    one_process_per_gpu(arguments)
    arguments.gradient_accumulation_steps = _accumulation(recipe, arguments.world_size)
    return arguments


def make_trainer(recipe: SftRecipe, base: Loaded, material: Material, arguments: SFTConfig) -> SFTTrainer:
    """A trainer ready to run. Nothing is learned yet.

    Raises UserError where the longest answer does not fit the model, or its chat template does not end an answer with
    the end-of-turn token.
    """
    _check_length(base, material.examples)
    trainer = _Trainer(
        model=base.model,
        args=arguments,
        train_dataset=as_dataset(material, base),
        processing_class=base.processor,
        peft_config=None if recipe.lora is None else adapters(base.model, recipe.lora),
    )
    _check_end(trainer, base)
    return trainer


def as_dataset(material: Material, base: Loaded) -> Dataset:
    """The draws as TRL takes them: `prompt`, `completion` and `images`; a picture is opened when its row is read."""
    fit = fit_of(base.processor)

    def rows(places: dict[str, list[int]]) -> dict[str, list[Any]]:
        drawn = [material.draws[place] for place in places["place"]]
        examples = [material.examples[draw.example] for draw in drawn]
        pairs = list(zip(examples, drawn, strict=True))
        answers = [example.answer(draw.form) for example, draw in pairs]
        return {
            "prompt": [PROMPTS.messages(example.task, level=draw.form == "level") for example, draw in pairs],
            "completion": [[{"role": "assistant", "content": [{"type": "text", "text": text}]}] for text in answers],
            "images": [[open_picture(example.path, fit)] for example in examples],
        }

    return Dataset.from_dict({"place": range(len(material.draws))}).with_transform(rows)


def _accumulation(recipe: SftRecipe, processes: int) -> int:
    share, rest = divmod(recipe.batch, processes * recipe.device_batch)
    if rest or not share:
        raise UserError(
            f"batch = {recipe.batch} does not divide among {processes} processes with device_batch = "
            f"{recipe.device_batch}; try batch: {max(1, share) * processes * recipe.device_batch}"
        )
    return share


def _check_length(base: Loaded, examples: Sequence[Example]) -> None:
    """Prompt, picture and answer have to fit; the picture is counted at its largest."""
    tokenizer, images = base.processor.tokenizer, base.processor.image_processor
    limit = getattr(base.model.config.get_text_config(), "max_position_embeddings", None)
    if limit is None or not examples:
        return
    text = max((example.answer() for example in examples), key=len)
    chats = [base.processor.apply_chat_template(PROMPTS.messages(task), tokenize=False) for task in _tasks(examples)]
    n_text = len(tokenizer(text)["input_ids"]) + max(len(tokenizer(chat)["input_ids"]) for chat in chats)
    n_visual = 0
    if hasattr(images, "merge_size"):
        n_visual = dict(images.size)["longest_edge"] // (images.patch_size * images.merge_size) ** 2
    if n_text + n_visual > limit:
        raise UserError(
            f"a chat may have {n_text + n_visual} tokens ({n_visual} of them for its picture), and the model takes "
            f"{limit}; try smaller pixels or shorter rationales"
        )


def _tasks(examples: Sequence[Example]) -> list[Any]:
    return list(dict.fromkeys(example.task for example in examples))


def _check_end(trainer: SFTTrainer, base: Loaded) -> None:
    tokenizer, examples = base.processor.tokenizer, cast(Dataset, trainer.train_dataset)
    labels = trainer.data_collator([examples[0]])["labels"]
    if tokenizer.eos_token_id not in labels:
        raise UserError(
            f"the chat template does not end an answer with the end-of-turn token {tokenizer.eos_token!r}, so the "
            "model would never learn to stop; name a model whose template does"
        )


def _finish(trainer: SFTTrainer, recipe: SftRecipe, base: Loaded, material: Material, folder: Path) -> Path:
    """Write the model, from one process."""
    spread = trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled
    state = trainer.accelerator.get_state_dict(trainer.model) if spread else None  # all processes take part
    if not trainer.is_world_process_zero():
        return folder
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    numbers: dict[str, float] = {
        "steps": trainer.state.global_step,
        "pictures": len(material.examples),
        "draws": len(material.draws),
    }
    if logged:
        numbers |= {"loss": logged[-1]["loss"], "token_accuracy": logged[-1]["mean_token_accuracy"]}
    record = Record(
        stage="sft",
        base=recipe.model if isinstance(recipe.model, str) else "tiny",
        data=tuple(material.sources),
        seed=recipe.seed,
        level_rows=recipe.level_rows,
        numbers=numbers,
    )
    model = trainer.accelerator.unwrap_model(trainer.model)
    return save(folder, replace(base, model=model, record=record), state)
