"""Learn to rate from labels on the Hugging Face `Trainer`: the adapter on a frozen encoder, or all at once (section 6).

The test part never comes here. An epoch is chosen, if at all, on a part held out from the training rows.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import EvalPrediction, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from beholder.errors import UserError
from beholder.evaluate.correlation import srcc
from beholder.training.lines import show_lines
from beholder.uniqa.config import LearnConfig
from beholder.uniqa.features import encode_grid
from beholder.uniqa.holdout import hold_out, refuse_shared
from beholder.uniqa.lessons import Lessons, collate
from beholder.uniqa.material import Material
from beholder.uniqa.model import Uniqa
from beholder.uniqa.rater import Rater

EPOCHS = ((2_000, 50), (20_000, 20))
"""Training pictures up to which so many epochs are run; more pictures get 10."""


@dataclass(frozen=True)
class Run:
    """Where and how a run happens; what does not change what is learned."""

    out: Path
    seed: int
    bf16: bool = False
    loaders: int = 0


@dataclass(frozen=True)
class Learned:
    """What one run learned: the model after the last epoch, and the one that was best on the held-out part."""

    last: Uniqa
    best: Uniqa
    """The last one where nothing was held out."""
    held_out_srcc: float | None
    """Of `best`."""
    loss: tuple[float, ...]
    """Mean training loss of each epoch."""


def default_epochs(n_pictures: int) -> int:
    """Epochs for so many training pictures: 50 up to 2,000, 20 up to 20,000, else 10."""
    return next((epochs for most, epochs in EPOCHS if n_pictures <= most), 10)


class RaterTrainer(Trainer):
    """`Trainer` with two learning rates and the order of `Lessons`."""

    def __init__(self, *, tower_learning_rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tower_learning_rate = tower_learning_rate

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Adam, default betas, no weight decay; the tower at its own rate."""
        if self.optimizer is None:
            named = list(cast(nn.Module, model or self.model).named_parameters())
            learning = [(name, parameter) for name, parameter in named if parameter.requires_grad]
            head = [parameter for name, parameter in learning if "tower." not in name]
            tower = [parameter for name, parameter in learning if "tower." in name]
            groups = [{"params": head, "lr": self.args.learning_rate}]
            groups += [{"params": tower, "lr": self.tower_learning_rate}] if tower else []
            self.optimizer = torch.optim.Adam(groups)
        return self.optimizer

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, score and target."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            out = model(**inputs)
        return out["loss"], out["score"].float(), inputs["target"]

    def _get_train_sampler(self, *_: Any) -> Sampler[int]:
        return SequentialSampler(cast(Lessons, self.train_dataset))  # `Lessons` is a permutation already


def correlate(prediction: EvalPrediction) -> dict[str, float]:
    """SRCC of scores with targets; -1 where every score is the same, so that such an epoch is never chosen."""
    found = srcc(np.ravel(prediction.predictions), np.ravel(prediction.label_ids))
    return {"srcc": -1.0 if np.isnan(found) else found}


def learn(model: Uniqa, train: Material, config: LearnConfig, run: Run) -> Learned:
    """Teach a copy of `model` the scores of `train`; `model` stays as it is.

    A stopped run in `run.out` goes on from its last epoch. Raises UserError where the held-out part shares a file or
    a group with the rest, or where a picture can't be read.
    """
    torch.manual_seed(run.seed)
    task, whole = train.manifest.task, config.method == "finetune"
    rows, held_rows = hold_out(train.manifest, config.hold_out, run.seed)
    rest, held = train.take(rows), train.take(held_rows)
    refuse_shared({"the training part": rest.manifest, "the held-out part": held.manifest})
    model = deepcopy(model)
    model.set_prompts(model.tokenizer, {task: config.prompts})
    model.adapt(task)
    epochs = config.epochs or default_epochs(len(rest))
    arguments = _arguments(config, run, epochs, len(rest), evaluates=len(held) > 0)
    model.to(arguments.device)
    if not whole and (config.features == "grid" or len(held)):
        grid = encode_grid(model, train.whole) if train.grid is None else train.grid
        for problem in grid.problems.values():
            raise UserError(problem)
        rest, held = replace(rest, grid=grid.take(rows)), replace(held, grid=grid.take(held_rows))
    side = model.config.side
    views = rest.random_views(side) if config.features == "online" else rest.scored_views(side)
    rater = Rater(model, task, whole=whole)
    trainer = RaterTrainer(
        tower_learning_rate=config.encoder_learning_rate,
        model=rater,
        args=arguments,
        train_dataset=Lessons(views, rest.manifest.unit_scores(), epochs=epochs, seed=run.seed),
        eval_dataset=Lessons(held.scored_views(side), held.manifest.unit_scores()) if len(held) else None,
        data_collator=collate,
        compute_metrics=correlate,
    )
    checkpoint = get_last_checkpoint(str(run.out)) if run.out.is_dir() else None  # type: ignore[no-untyped-call]
    show_lines(trainer, ("loss", "eval_srcc"))
    trainer.train(resume_from_checkpoint=checkpoint)
    last = _finished(model)
    best, best_srcc = last, None
    if trainer.state.best_model_checkpoint is not None:
        rater.load_state_dict(load_file(Path(trainer.state.best_model_checkpoint) / "model.safetensors"))
        best, best_srcc = _finished(model), trainer.state.best_metric
    loss = tuple(float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    return Learned(last, best, best_srcc, loss)


def _finished(model: Uniqa) -> Uniqa:
    copy = deepcopy(model).cpu().eval()
    copy.encoder.requires_grad_(False)
    return copy


def _arguments(config: LearnConfig, run: Run, epochs: int, n_pictures: int, *, evaluates: bool) -> TrainingArguments:
    per_epoch = max(1, round(n_pictures / config.batch))
    arguments = TrainingArguments(
        output_dir=str(run.out),
        max_steps=max(1, round(epochs * n_pictures / config.batch)),
        per_device_train_batch_size=config.batch,
        per_device_eval_batch_size=64 if config.method != "finetune" else 8,
        learning_rate=config.learning_rate,
        lr_scheduler_type="cosine",
        max_grad_norm=0.0,
        bf16=run.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=run.seed,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=per_epoch,
        save_strategy="steps" if evaluates else "no",
        save_steps=per_epoch,
        save_total_limit=2,
        metric_for_best_model="eval_srcc" if evaluates else None,
        greater_is_better=True if evaluates else None,
        logging_steps=per_epoch,
        disable_tqdm=True,
        dataloader_num_workers=run.loaders,
        remove_unused_columns=False,
        report_to=[],
    )
    if arguments.world_size > 1 or arguments.n_gpu > 1:
        raise UserError(
            f"labels are learned from on one device, and {max(arguments.world_size, arguments.n_gpu)} are in use; "
            "give each recipe a device of its own, e.g. CUDA_VISIBLE_DEVICES=0"
        )
    return arguments
