"""Stages of trunk training on the Hugging Face `Trainer`: pretrain on damage and labels together, then finetune."""

from __future__ import annotations

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
from beholder.mini.model import Probes


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


def train_stage(
    name: str,
    stage: StageConfig,
    model: Probes,
    recipe: Recipe,
    train: tuple[Rated, Rated],
    pick: tuple[Rated, Rated],
    natural: tuple[Pixels, ...],
    out: Path,
) -> Probes:
    """Run one stage, resuming from its last checkpoint if there is one; returns the model that did best on `pick`."""
    priors = read_priors(recipe.data.priors)
    sources = natural + tuple(rgb for rgb, unit in zip(train[0].pixels, train[0].unit, strict=True) if unit > 0.6)
    seed = recipe.seed * 1000 + len(name)
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
    trainer = TrunkTrainer(
        model=model,
        args=arguments,
        train_dataset=Bundles(stage, train[0], train[1], sources, priors, seed),
        eval_dataset={"quality": Whole(pick[0]), "aesthetics": Whole(pick[1])},
        data_collator=collate,
        compute_metrics=correlate,
    )
    last = get_last_checkpoint(str(out / name)) if (out / name).is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model(str(out / name / "best"))
    return model


def train_trunk(recipe: Recipe, quality: Manifest, aesthetics: Manifest, out: Path) -> Probes:
    """All stages in order. A finished stage is read back instead of run again."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    train = load_rated(quality, recipe.data.train_splits), load_rated(aesthetics, recipe.data.train_splits)
    pick = load_rated(quality, [recipe.data.pick_split]), load_rated(aesthetics, [recipe.data.pick_split])
    natural = load_natural(recipe.data.natural)
    model = Probes(recipe.trunk)
    for name, stage in recipe.stages.items():
        done = out / name / "best" / "model.safetensors"
        if done.is_file():
            model.load_state_dict(load_file(done))
            continue
        model = train_stage(name, stage, model, recipe, train, pick, natural, out)
    return model
