"""GRPO on TRL's `GRPOTrainer` (TATAR, section 6 of our spec), used as it is but for how a stopped run finds its weights
again (`resume`): what is ours goes in from outside.

- The data set is the whole schedule of `layout`, so the trainer does not shuffle; a picture is decoded once per step.
- One reward function gathers the completions of all devices and rewards them together (`grpo_reward`).
- Completions come from `rollout`, which encodes the picture and prompt of a group once.
- A step's samples depend on (seed, step, device) and the weights alone, and its rewards on nothing else but what a
  checkpoint keeps (`references`), so a step that is done again after a stop is the same step.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from datasets import Dataset
from PIL import Image
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from trl.models.utils import unwrap_model_for_generation
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from beholder.errors import UserError
from beholder.language.rows import write_whole
from beholder.task import TASKS
from beholder.tatar.config import TinyConfig
from beholder.tatar.examples import Example, check_pictures, read_examples
from beholder.tatar.folder import ADAPTER_FILE, LearnedFrom, Loaded, Record, save
from beholder.tatar.grpo_config import GrpoRecipe, describe
from beholder.tatar.grpo_reward import GatheredReward
from beholder.tatar.layout import Layout, Place, Pool, check, schedule
from beholder.tatar.picture import fit_of, open_picture
from beholder.tatar.prompts import PROMPTS
from beholder.tatar.references import References
from beholder.tatar.resume import Resumed
from beholder.tatar.rewards import Preset
from beholder.tatar.rollout import encode, generate_shared, up_to_end
from beholder.tatar.start import adapters, load_base, one_process_per_gpu
from beholder.training.lines import show_lines
from beholder.training.run_folder import CHECKPOINTS, MODEL, claim, last_whole_checkpoint

FULL_LEARNING_RATE, LORA_LEARNING_RATE = 1e-6, 1e-5
LOG_FILE = "log.json"
"""What was logged of each step, oldest first."""
_SHOWN = ("reward", *(f"{task}/{what}" for task in TASKS for what in ("parsed", "srcc")), "completions/mean_length")
"""What is said of it while it runs."""


@dataclass(frozen=True)
class Asked:
    """The pictures that a run asks about, in the order in which it does."""

    sets: Sequence[Sequence[Example]]
    """Per data set."""
    sources: Sequence[LearnedFrom]
    """Of the same sets."""
    places: Sequence[Place]

    @property
    def digest(self) -> str:
        """sha256 of which pictures are asked about, and what people gave them."""
        lines = [f"{each.path.name}\t{each.target!r}\t{each.target_std!r}" for found in self.sets for each in found]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def example(self, place: int) -> Example:
        """The picture at a place of the schedule."""
        at = self.places[place]
        return self.sets[at.pool][at.picture]


def layout_of(recipe: GrpoRecipe, devices: int) -> Layout:
    """How a recipe's completions lie on `devices`."""
    return Layout(recipe.pictures, recipe.group, recipe.device_batch, devices)


def read_asked(recipe: GrpoRecipe, devices: int) -> Asked:
    """The training pictures and their schedule.

    Raises UserError as `read_examples` and `layout.check` do, and where a picture can't be read.
    """
    examples, sources = read_examples(recipe.data, recipe.held_out)
    ends = np.cumsum([source.n for source in sources])
    sets = [examples[end - source.n : end] for source, end in zip(sources, ends, strict=True)]
    pools = [
        Pool(source.name, source.task, tuple(example.target for example in found))
        for source, found in zip(sources, sets, strict=True)
    ]
    layout = layout_of(recipe, devices)
    check(layout, pools, recipe.preset)
    if recipe.gt_noise == "mos_std":
        _check_stds(sources, sets, recipe.preset)
    check_pictures([example.path for example in examples])
    return Asked(sets, sources, schedule(layout, pools, recipe.steps, recipe.seed))


def train_grpo(recipe: GrpoRecipe, out: Path, *, on_ready: Callable[[str], None] = lambda _: None) -> Path:
    """The whole run; returns the folder of the model, `out/model`. A stopped run in `out` goes on.

    The same recipe, data and number of devices give the same steps, whenever the run was stopped. `on_ready` is told
    what is about to be learned. Raises UserError before the first step for everything that is wrong with recipe, data
    or model.
    """
    torch.set_num_threads(recipe.threads)
    arguments = trainer_arguments(recipe, out / CHECKPOINTS)  # ZeRO-3 wants them before the model
    asked = read_asked(recipe, arguments.world_size)
    base = _start(recipe)
    claim(out, _facts(recipe, asked, arguments.world_size))
    trainer = make_trainer(recipe, base, asked, arguments)
    n = sum(map(len, asked.sets))
    on_ready(f"{n} pictures; {recipe.steps} steps of {recipe.pictures} x {recipe.group} completions; rewards:")
    for line in describe(recipe):
        on_ready(line)
    last = last_whole_checkpoint(out / CHECKPOINTS)
    show_lines(trainer, _SHOWN)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    return _finish(trainer, recipe, base, asked, out)


def _check_stds(sources: Sequence[LearnedFrom], sets: Sequence[Sequence[Example]], preset: Preset) -> None:
    for source, found in zip(sources, sets, strict=True):
        n = sum(example.target_std is None for example in found)
        if n and preset.compares(source.task):
            raise UserError(
                f"{n} of {len(found)} pictures of {source.name} have no score_std, which gt_noise: mos_std needs; "
                "add the column to its manifest, or set gt_noise: constant"
            )


def trainer_arguments(recipe: GrpoRecipe, out: Path) -> GRPOConfig:
    """The recipe as TRL takes it, with checkpoints in `out`. Raises UserError for GPUs that no process is there for."""
    learning_rate = recipe.optimiser.learning_rate or (LORA_LEARNING_RATE if recipe.lora else FULL_LEARNING_RATE)
    use_cpu = not torch.cuda.is_available()
    processes = GRPOConfig(str(out), use_cpu=use_cpu, activation_checkpointing=False, report_to=[]).world_size
    layout = layout_of(recipe, processes)
    arguments = GRPOConfig(
        output_dir=str(out),
        max_steps=recipe.steps,
        per_device_train_batch_size=layout.batch,
        gradient_accumulation_steps=max(1, layout.accumulation),
        num_generations=layout.group,
        shuffle_dataset=False,
        max_completion_length=recipe.sampling.max_tokens,
        temperature=recipe.sampling.temperature,
        top_p=recipe.sampling.top_p,
        top_k=recipe.sampling.top_k,
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=recipe.warmup_steps,
        weight_decay=recipe.optimiser.weight_decay,
        max_grad_norm=recipe.optimiser.max_grad_norm,
        beta=recipe.beta,
        epsilon=recipe.clip,
        loss_type={"completion": "grpo", "token": "dapo"}[recipe.loss],
        scale_rewards="group",
        bf16=recipe.bf16,
        activation_checkpointing=recipe.checkpointing,
        use_cpu=use_cpu,
        seed=recipe.seed,
        save_strategy="steps",
        save_steps=recipe.save_steps,
        save_total_limit=2,
        logging_steps=1,
        disable_tqdm=True,
        dataloader_num_workers=recipe.loaders,
        dataloader_persistent_workers=recipe.loaders > 0,
        remove_unused_columns=False,
        report_to=[],
    )
    one_process_per_gpu(arguments)
    return arguments


def make_trainer(recipe: GrpoRecipe, base: Loaded, asked: Asked, arguments: GRPOConfig) -> GRPOTrainer:
    """A trainer ready to run. Nothing is learned yet."""
    references = References(recipe.reference_queue)
    reward = GatheredReward(recipe.preset, base.end_tokens, references, device=arguments.process_index)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="You are using 'rollout_func'")  # experimental, held by our tests
        return _Trainer(
            model=base.model,
            reward_funcs=[reward],
            args=arguments,
            train_dataset=as_dataset(asked, base),
            processing_class=base.processor,
            peft_config=None if recipe.lora is None else adapters(base.model, recipe.lora),
            rollout_func=_rollout,
            callbacks=[_SeedOfStep(recipe.seed), _KeptReferences(references)],
        )


def as_dataset(asked: Asked, base: Loaded) -> Dataset:
    """The schedule as TRL takes it: `prompt`, `image`, and what `GatheredReward` is told; made when a row is read.

    The trainer reads the rows of a step anew for each of its batches, and needs them once: hence the cache.
    """
    fit = fit_of(base.processor)
    names = [source.name for source in asked.sources]

    @lru_cache(maxsize=64)
    def picture(path: Path) -> Image.Image:
        return open_picture(path, fit)

    def rows(columns: Mapping[str, list[int]]) -> dict[str, list[Any]]:
        examples = [asked.example(place) for place in columns["place"]]
        return {
            "prompt": [PROMPTS.messages(example.task) for example in examples],
            "image": [picture(example.path) for example in examples],
            "task": [example.task for example in examples],
            "dataset": [names[asked.places[place].pool] for place in columns["place"]],
            "picture": [str(example.path) for example in examples],
            "target": [example.target for example in examples],
            "target_std": [example.target_std for example in examples],
        }

    return Dataset.from_dict({"place": range(len(asked.places))}).with_transform(rows)


class _Trainer(Resumed, GRPOTrainer):  # type: ignore[misc]
    """TRL's, with the weights of its checkpoint."""


class _KeptReferences(TrainerCallback, ExportableState):
    """Writes the references into the Trainer's state of each checkpoint, and takes them back from there."""

    def __init__(self, references: References) -> None:
        self.references = references

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"kept": self.references.written()}}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        callbacks = cast(dict[str, Any], state.stateful_callbacks)  # a list in its constructor only
        self.references.restore(callbacks[type(self).__name__]["attributes"]["kept"])


class _SeedOfStep(TrainerCallback):
    """Samples of a step depend on no step before it but through the weights."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        entropy = np.random.SeedSequence((self.seed, state.global_step, args.process_index))
        torch.manual_seed(int(entropy.generate_state(1, np.uint64)[0]))


def _rollout(chats: list[Any], trainer: Any) -> dict[str, Any]:
    """Completions of this device's prompts, each of which stands there `group` times in a row."""
    group = trainer.num_generations
    inputs = encode(trainer.processing_class, chats[::group]).to(trainer.accelerator.device)
    with unwrap_model_for_generation(
        trainer.model_wrapped, trainer.accelerator, generation_kwargs=trainer.generation_kwargs
    ) as model:
        tokens = generate_shared(model, inputs, group, trainer.generation_config)
    asked = [ids[mask.bool()].tolist() for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    return {
        "prompt_ids": [ids for ids in asked for _ in range(group)],
        "completion_ids": [up_to_end(row, trainer.eos_token_ids) for row in tokens],
        "logprobs": None,  # those of another sampler; the trainer's own model is the sampler here
    }


def _start(recipe: GrpoRecipe) -> Loaded:
    if isinstance(recipe.model, TinyConfig):
        raise UserError("GRPO starts from a model that can answer; give the model folder of a tatar-sft run")
    if (Path(recipe.model) / ADAPTER_FILE).is_file():
        raise UserError(
            f"{recipe.model!r} holds adapters, and GRPO compares with the whole model that it starts from. "
            "Try the model folder of a tatar-sft run, in which adapters are merged"
        )
    return load_base(recipe, recipe.model)


def _facts(recipe: GrpoRecipe, asked: Asked, devices: int) -> dict[str, Any]:
    return {
        "stage": "grpo",
        "recipe": recipe.model_dump(mode="json"),
        "data": {source.name: source.model_dump(mode="json") for source in asked.sources},
        "pictures": asked.digest,
        "prompts": PROMPTS.digest,
        "devices": devices,
    }


def _finish(trainer: GRPOTrainer, recipe: GrpoRecipe, base: Loaded, asked: Asked, out: Path) -> Path:
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if trainer.is_deepspeed_enabled else None
    if trainer.is_world_process_zero():
        steps = [entry for entry in trainer.state.log_history if "reward" in entry]
        write_whole(out / LOG_FILE, json.dumps(steps, indent=1) + "\n")
        record = Record(
            stage="grpo",
            base=str(recipe.model),
            data=tuple(asked.sources),
            seed=recipe.seed,
            level_rows=base.record.level_rows if base.record else 0.0,
            numbers={"steps": float(recipe.steps), "reward": float(steps[-1]["reward"])},
        )
        save(out / MODEL, Loaded(trainer.accelerator.unwrap_model(trainer.model), base.processor, record), state)
    return out / MODEL
