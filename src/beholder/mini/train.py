"""Train beholder-mini: statistics heads first, then the trunk in stages on the Hugging Face `Trainer`.

Every step leaves its result in the run's folder and is read back instead of done again, so a stopped run goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.stats import spearmanr
from transformers import EvalPrediction, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from beholder.data.distortions import read_priors
from beholder.data.manifest import Manifest
from beholder.mini.config import Recipe, StageConfig
from beholder.mini.data import Bundles, Pixels, Rated, Whole, collate, load_natural, load_rated
from beholder.mini.export import Mini
from beholder.mini.heads import Features
from beholder.mini.lessons import CrossFit, Pairs, cross_fit, damaged_pairs, statistics_of
from beholder.mini.model import Probes
from beholder.task import TASKS, Task


@dataclass(frozen=True)
class Pictures:
    """Everything a run looks at, decoded."""

    train: dict[Task, Rated]
    pick: dict[Task, Rated]
    """Chooses the checkpoint; nothing is fitted to it and nothing is reported on it."""
    natural: tuple[Pixels, ...]
    """Undamaged pictures to damage: the natural folders, and the better rated half of the training photos."""


def load_pictures(recipe: Recipe, manifests: dict[Task, Manifest]) -> Pictures:
    """Decode the training and the picking split of both manifests and the natural folders."""
    train = {task: load_rated(manifests[task], recipe.data.train_splits) for task in TASKS}
    pick = {task: load_rated(manifests[task], [recipe.data.pick_split]) for task in TASKS}
    quality = train["quality"]
    good = tuple(rgb for rgb, unit in zip(quality.pixels, quality.unit, strict=True) if unit > 0.6)
    return Pictures(train, pick, load_natural(recipe.data.natural) + good)


def fit_statistics(recipe: Recipe, pictures: Pictures, out: Path) -> tuple[dict[Task, CrossFit], Pictures]:
    """Fit the statistics heads; returns them and the pictures with the heads' logits as offsets."""
    priors = read_priors(recipe.data.priors)

    def pairs() -> Features:
        made = damaged_pairs(pictures.natural, priors, recipe.pairs.count, recipe.pairs.crop, recipe.seed)
        return np.concatenate([made.features.reshape(len(made.margin), -1), made.margin[:, None]], axis=1)

    kept = _kept(out / "pairs.npy", [str(recipe.pairs), str(recipe.seed)], pairs)
    lessons = Pairs(kept[:, :-1].reshape(len(kept), 2, -1), kept[:, -1])
    fits, train, pick = {}, {}, {}
    for task in TASKS:
        seen, unseen = (
            _kept(out / f"{task}-{name}.npy", rated.paths, lambda rated=rated: statistics_of(rated.pixels))  # type: ignore[misc]
            for name, rated in (("train", pictures.train[task]), ("pick", pictures.pick[task]))
        )
        fit = cross_fit(
            pictures.train[task], seen, lessons if task == "quality" else None, recipe.heads[task], recipe.seed
        )
        fits[task] = fit
        train[task] = replace(pictures.train[task], offset=fit.offset)
        pick[task] = replace(pictures.pick[task], offset=fit.logits(unseen))
    return fits, Pictures(train, pick, pictures.natural)


def _kept(file: Path, key: Sequence[str], make: Any) -> Features:
    """The array in `file` if it was made for `key`, else a new one, which is kept."""
    stamp = file.with_suffix(".sha256")
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()
    if file.is_file() and stamp.is_file() and stamp.read_text() == digest:
        return np.asarray(np.load(file, allow_pickle=False))
    made: Features = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, made, allow_pickle=False)
    stamp.write_text(digest)
    return made


def correlate(prediction: EvalPrediction) -> dict[str, float]:
    """SRCC of the one task that an evaluation set holds."""
    return {"srcc": float(spearmanr(np.ravel(prediction.predictions), np.ravel(prediction.label_ids)).statistic)}


class TrunkTrainer(Trainer):
    """`Trainer` that evaluates one rated set per task; everything else is stock."""

    def prediction_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Loss, prediction and label of whole pictures of one task."""
        task = "quality" if "quality" in inputs else "aesthetics"
        with torch.inference_mode():
            out = model(**inputs)
        return out["loss"], out[f"{task}_pred"], inputs[task]


def train_stage(name: str, stage: StageConfig, model: Probes, recipe: Recipe, pictures: Pictures, out: Path) -> None:
    """Run one stage, resuming from its last checkpoint; leaves `model` as it did best on the picking split."""
    model.order_weight = stage.order_weight
    train, pick = pictures.train, pictures.pick
    if not stage.residual:
        train = {task: replace(rated, offset=np.zeros_like(rated.offset)) for task, rated in train.items()}
        pick = {task: replace(rated, offset=np.zeros_like(rated.offset)) for task, rated in pick.items()}
    arguments = TrainingArguments(
        output_dir=str(out / name),
        max_steps=stage.steps,
        per_device_train_batch_size=stage.batch,
        per_device_eval_batch_size=1,
        learning_rate=stage.learning_rate,
        weight_decay=stage.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=min(300, stage.steps // 10),
        max_grad_norm=5.0,
        bf16=recipe.bf16,
        use_cpu=not torch.cuda.is_available(),
        seed=recipe.seed,
        eval_strategy="steps",
        eval_steps=stage.eval_steps,
        save_strategy="steps",
        save_steps=stage.eval_steps,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_quality_srcc",
        greater_is_better=True,
        logging_steps=100,
        dataloader_num_workers=recipe.loaders,
        dataloader_persistent_workers=recipe.loaders > 0,
        remove_unused_columns=False,
        report_to=[],
    )
    lessons = Bundles(
        stage,
        train["quality"],
        train["aesthetics"],
        pictures.natural,
        read_priors(recipe.data.priors),
        seed=recipe.seed * 1000 + len(name),
    )
    trainer = TrunkTrainer(
        model=model,
        args=arguments,
        train_dataset=lessons,
        eval_dataset={task: Whole(rated) for task, rated in pick.items()},
        data_collator=collate,
        compute_metrics=correlate,
    )
    last = get_last_checkpoint(str(out / name)) if (out / name).is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model(str(out / name / "best"))


def train_mini(recipe: Recipe, manifests: dict[Task, Manifest], out: Path) -> Mini:
    """The whole run, from decoded pictures to the assembled model; finished steps are read back from `out`."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    fits, pictures = fit_statistics(recipe, load_pictures(recipe, manifests), out)
    model = Probes(recipe.trunk)
    for name, stage in recipe.stages.items():
        if stage.residual:
            model.start_residual()
        done = out / name / "best" / "model.safetensors"
        if done.is_file():
            model.load_state_dict(load_file(done))
        else:
            train_stage(name, stage, model, recipe, pictures, out)
    return Mini(model, {task: fit.heads for task, fit in fits.items()}).eval()
