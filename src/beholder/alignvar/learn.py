"""What the trainings share: the Hugging Face `Trainer` with averaged weights, a limit on time, and held-out judging.

The Trainer has the loop, the optimiser, checkpoints, precision and several processes. Ours are the schedule, which
also ends where the time does, the averaged weights, which live in the trained module and so in its checkpoints, and
what held-out crops say, which chooses the checkpoint.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sized
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from beholder.alignvar.recipe import AlignVarRecipe, DecoderRecipe, TokeniserRecipe
from beholder.errors import UserError
from beholder.training.precision import computes_bfloat16
from beholder.training.run_folder import CHECKPOINTS, best_checkpoint, last_whole_checkpoint, read_state

Recipe = TokeniserRecipe | AlignVarRecipe | DecoderRecipe
Numbers = dict[str, float]
LOGS_PER_RUN, LONGEST_LOG_STEPS = 20, 50


class Lesson(nn.Module):
    """A model, its averaged weights, and what one batch says about it."""

    def __init__(self, model: nn.Module, ema: float) -> None:
        """`ema`: decay of the averages; 0 for none."""
        super().__init__()
        self.model = model
        self.average = AveragedModel(model, multi_avg_fn=averaging(ema)) if ema else None
        if self.average is not None:
            self.average.requires_grad_(False)
        self.progress = 0.0
        """Share of the run that is over, in [0, 1]."""
        self.step = 0
        """Steps that are over."""

    @abstractmethod
    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Losses of a batch by name, `loss` the one to be lowered."""

    @property
    def chosen(self) -> nn.Module:
        """What is measured and saved: the averages, or the model if there are none."""
        return self.model if self.average is None else self.average.module

    def after_step(self) -> None:
        """What follows the step of the optimiser."""
        if self.average is not None:
            self.average.update_parameters(self.model)


def averaging(decay: float) -> Callable[[Any, Any, Any], None]:
    """Exponential moving average whose decay grows to `decay`, so that the first steps are soon forgotten."""

    def update(averaged: Any, current: Any, count: Any) -> None:
        n = float(count)
        torch._foreach_lerp_(averaged, current, 1 - min(decay, (1 + n) / (10 + n)))

    return update


class Clock:
    """Minutes that a run has taken, over all its starts, against those it may take."""

    def __init__(self, max_minutes: float | None) -> None:
        self.max_minutes, self.before, self.started = max_minutes, 0.0, time.monotonic()

    def start(self, before: float) -> None:
        """Begin to count, on top of the minutes `before`."""
        self.before, self.started = before, time.monotonic()

    def minutes(self) -> float:
        """So far."""
        return self.before + (time.monotonic() - self.started) / 60

    def share(self) -> float:
        """Share of the time that is over, in [0, 1]; 0 without a limit."""
        return 0.0 if self.max_minutes is None else min(1.0, self.minutes() / self.max_minutes)


class _Conductor(TrainerCallback):  # type: ignore[misc]
    """Tells the lesson where the run is, averages after each step, and ends the run with the time."""

    def __init__(self, lesson: Lesson, clock: Clock) -> None:
        self.lesson, self.clock = lesson, clock

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.clock.start(minutes_of(state.log_history))

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.lesson.step = state.global_step
        self.lesson.progress = max(state.global_step / state.max_steps, self.clock.share())

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.lesson.after_step()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.clock.share() >= 1:
            control.should_training_stop = control.should_evaluate = control.should_save = control.should_log = True


class Learner(Trainer):  # type: ignore[misc]
    """`Trainer` of a lesson."""

    def __init__(
        self, *, lesson: Lesson, judge: Callable[[nn.Module], Numbers], clock: Clock, warmup_steps: int, **kwargs: Any
    ) -> None:
        super().__init__(model=lesson, callbacks=[_Conductor(lesson, clock)], **kwargs)
        self.lesson, self.judge, self.clock, self.warmup_steps = lesson, judge, clock, warmup_steps
        self._parts: dict[str, list[Tensor]] = {}

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """The lesson's; its parts are kept for the log."""
        losses: dict[str, Tensor] = model(**inputs)
        for name, value in losses.items():
            if name != "loss":
                self._parts.setdefault(name, []).append(value.detach())
        return losses["loss"]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """With the means of the parts since the last log, and the minutes so far."""
        if "loss" in logs:
            logs |= {name: torch.stack(values).mean().item() for name, values in self._parts.items()}
            self._parts.clear()
        super().log({**logs, "minutes": round(self.clock.minutes(), 3)}, start_time)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        """A warm-up in a straight line, a cosine to zero over the steps or over the time, whichever is further."""

        def factor(step: int) -> float:
            progress = min(1.0, max(step / num_training_steps, self.clock.share()))
            return min(1.0, (step + 1) / (self.warmup_steps + 1)) * 0.5 * (1 + math.cos(math.pi * progress))

        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(cast(torch.optim.Optimizer, optimizer or self.optimizer), factor)
        return self.lr_scheduler

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Numbers:
        """What the held-out crops say about the chosen weights."""
        chosen = self.lesson.chosen
        chosen.eval()
        with torch.no_grad():
            numbers = {f"{metric_key_prefix}_{name}": value for name, value in self.judge(chosen).items()}
        self.log(dict(numbers))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, numbers)
        return numbers

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Matrices and convolutions: no norms, biases, scales, start vectors."""
        return [name for name, parameter in model.named_parameters() if parameter.ndim >= 2]

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        return SequentialSampler(cast(Sized, self.train_dataset))  # `Crops` draws at random already


class _Report(TrainerCallback):  # type: ignore[misc]
    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs and ("loss" in logs or any(name.startswith("eval_") for name in logs)):
            hidden = ("epoch", "minutes")
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in logs.items() if name not in hidden)
            self.tell(f"step {state.global_step}, {logs.get('minutes', 0.0):.1f} min: {numbers}")


def run(
    recipe: Recipe,
    lesson: Lesson,
    crops: Callable[[int], Dataset[dict[str, Tensor]]],
    judge: Callable[[nn.Module], Numbers],
    out: Path,
    *,
    choose_by: str,
    higher_is_better: bool,
    max_minutes: float | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> nn.Module:
    """Train, or go on with what `out` holds, and return the weights that held-out crops liked best, on the CPU.

    `crops(n)` gives n training items; `judge` gives numbers of a model, of which `choose_by` chooses the checkpoint.
    `max_minutes` counts over all starts of this run; one that has used them up only hands back its best weights.
    """
    folder = out / CHECKPOINTS
    bf16 = recipe.bf16 and computes_bfloat16("cuda" if torch.cuda.is_available() else "cpu")
    if recipe.bf16 and not bf16:
        on_line("bf16 is left out: this processor has no instructions for it and would take ten times as long")
    trainer = Learner(
        lesson=lesson,
        judge=judge,
        clock=(clock := Clock(max_minutes)),
        warmup_steps=recipe.optimiser.warmup_steps,
        args=_arguments(recipe, folder, choose_by, higher_is_better, bf16),
        train_dataset=crops(recipe.steps * recipe.batch),
        eval_dataset=[],  # the judge has its own; the Trainer only wants one to be there
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Report(on_line))
    if recipe.compile:
        for part in _compiled(lesson.model):
            part.compile()
    last = last_whole_checkpoint(folder)
    spent = 0.0 if last is None else minutes_of(read_state(last)["log_history"])
    done = 0 if last is None else int(read_state(last)["global_step"])
    if done < recipe.steps and (clock.max_minutes is None or spent < clock.max_minutes):
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    lesson.load_state_dict(load_file(best_checkpoint(folder) / "model.safetensors"))
    return lesson.chosen.cpu().eval()


def minutes_of(log: Iterable[dict[str, Any]]) -> float:
    """Minutes that the run of this log history had taken at its last entry."""
    return max((float(entry["minutes"]) for entry in log if "minutes" in entry), default=0.0)


def _compiled(model: nn.Module) -> list[nn.Module]:
    """The parts worth compiling: those that hold the arithmetic, not the loops over scales around them."""
    named = [part for name in ("encoder", "decoder") if (part := getattr(model, name, None)) is not None]
    return named or list(getattr(model, "blocks", ()))


def _arguments(recipe: Recipe, folder: Path, choose_by: str, higher_is_better: bool, bf16: bool) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.steps,
        learning_rate=recipe.optimiser.learning_rate,
        optim="adamw_torch_fused",
        adam_beta1=recipe.optimiser.betas[0],
        adam_beta2=recipe.optimiser.betas[1],
        weight_decay=recipe.optimiser.weight_decay,
        max_grad_norm=recipe.optimiser.max_grad_norm,
        bf16=bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        eval_strategy="steps",
        eval_steps=recipe.eval_steps,
        save_strategy="steps",
        save_steps=recipe.eval_steps,
        save_total_limit=2,
        metric_for_best_model=choose_by,
        greater_is_better=higher_is_better,
        logging_steps=max(1, min(LONGEST_LOG_STEPS, recipe.steps // LOGS_PER_RUN)),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        dataloader_num_workers=recipe.loaders,
        dataloader_persistent_workers=recipe.loaders > 0,
        dataloader_drop_last=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,
        report_to=[],
    )
    if arguments.n_gpu > 1:
        raise UserError(
            f"{arguments.n_gpu} GPUs are visible to one process; start it with `accelerate launch -m beholder ...` to "
            "use them all, or with CUDA_VISIBLE_DEVICES=0 to use one"
        )
    share, rest = divmod(recipe.batch, arguments.world_size)
    if rest:
        raise UserError(f"batch = {recipe.batch} does not divide among {arguments.world_size} processes")
    arguments.per_device_train_batch_size = share
    return arguments
