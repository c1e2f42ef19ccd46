"""Train beholder-mini: statistics heads first, then the trunk in stages on the Hugging Face `Trainer`.

Every step leaves its result in the run's folder and is read back instead of done again, so a stopped run goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import getsource
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.stats import spearmanr
from transformers import EvalPrediction, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from beholder.data import distortions
from beholder.data.distortions import read_priors
from beholder.data.manifest import Manifest
from beholder.errors import UserError
from beholder.mini import statistics
from beholder.mini.config import HeadConfig, Recipe, StageConfig
from beholder.mini.data import Bundles, Pixels, Rated, Whole, collate, load_natural, load_rated
from beholder.mini.export import Mini
from beholder.mini.heads import Features
from beholder.mini.lessons import CrossFit, Measure, Pairs, cross_fit, damaged_pairs, learned_by, statistics_of
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
    natural = load_natural(recipe.data.natural) + good
    if not natural:
        raise UserError(
            "there is no picture to damage: data.natural of the recipe holds none of at least 128 px, and no training "
            "picture is rated above 0.6 of its range. Name a folder of undamaged photographs in data.natural."
        )
    return Pictures(train, pick, natural)


@dataclass(frozen=True)
class Measured:
    """Features of all pictures of a run by one measure."""

    train: dict[Task, Features]
    pick: dict[Task, Features]
    pairs: Pairs

    def beside(self, other: Measured) -> Measured:
        """Both features of every picture, side by side."""
        both = np.concatenate([self.pairs.features, other.pairs.features], axis=2)
        return Measured(
            {task: np.hstack([self.train[task], other.train[task]]) for task in TASKS},
            {task: np.hstack([self.pick[task], other.pick[task]]) for task in TASKS},
            Pairs(both, self.pairs.margin),
        )


def measure_all(name: str, measure: Measure, key: str, recipe: Recipe, pictures: Pictures, out: Path) -> Measured:
    """Measure rated and damaged pictures, or read what an earlier run of the same code and `key` has kept in `out`."""
    priors = read_priors(recipe.data.priors)

    def pairs() -> Features:
        made = damaged_pairs(pictures.natural, priors, recipe.pairs, recipe.seed, measure)
        return np.concatenate([made.features.reshape(len(made.margin), -1), made.margin[:, None]], axis=1)

    def rated(part: str, one: Rated) -> Features:
        return _kept(out / f"{name}-{one.task}-{part}.npy", [key, *one.paths], lambda: measure(one.pixels))

    kept = _kept(out / f"{name}-pairs.npy", [key, str(recipe.pairs), str(recipe.seed)], pairs)
    return Measured(
        {task: rated("train", pictures.train[task]) for task in TASKS},
        {task: rated("pick", pictures.pick[task]) for task in TASKS},
        Pairs(kept[:, :-1].reshape(len(kept), 2, -1), kept[:, -1]),
    )


def fit_heads(
    configs: dict[Task, HeadConfig], measured: Measured, pictures: Pictures, seed: int
) -> dict[Task, CrossFit]:
    """Cross-fitted heads per task; the quality heads learn the order of damage too."""
    return {
        task: cross_fit(
            pictures.train[task],
            measured.train[task],
            measured.pairs if task == "quality" else None,
            configs[task],
            seed,
        )
        for task in TASKS
    }


def offset_by(fits: dict[Task, CrossFit], measured: Measured, pictures: Pictures) -> Pictures:
    """The pictures with the level logits of the heads as offsets, out of fold where the heads were fitted."""
    train = {task: replace(pictures.train[task], offset=fits[task].offset) for task in TASKS}
    pick = {task: replace(pictures.pick[task], offset=fits[task].logits(measured.pick[task])) for task in TASKS}
    return Pictures(train, pick, pictures.natural)


def _kept(file: Path, key: Sequence[str], make: Any) -> Features:
    """The array in `file` if it was made for `key` by today's code, else a new one, which is kept."""
    stamp = file.with_suffix(".sha256")
    code = "".join(getsource(module) for module in (statistics, distortions))
    digest = hashlib.sha256("\n".join([*key, code]).encode()).hexdigest()
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
    last = get_last_checkpoint(str(out / name)) if (out / name).is_dir() else None  # type: ignore[no-untyped-call]
    trainer.train(resume_from_checkpoint=last)
    trainer.save_model(str(out / name / "best"))


def train_mini(recipe: Recipe, manifests: dict[Task, Manifest], out: Path) -> Mini:
    """The whole run, from decoded pictures to the assembled model; finished steps are read back from `out`."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    pictures = load_pictures(recipe, manifests)
    statistics_seen = measure_all("statistics", statistics_of, "", recipe, pictures, out)
    heads = fit_heads(recipe.heads, statistics_seen, pictures, recipe.seed)
    lessons = offset_by(heads, statistics_seen, pictures)
    model = Probes(recipe.trunk)
    for name, stage in recipe.stages.items():
        if stage.residual:
            model.start_residual()
        done = out / name / "best" / "model.safetensors"
        if done.is_file():
            model.load_state_dict(load_file(done))
        else:
            train_stage(name, stage, model, recipe, lessons, out)
    weights = hashlib.sha256(b"".join(p.detach().numpy().tobytes() for p in model.state_dict().values())).hexdigest()
    learned = measure_all("learned", lambda rgb: learned_by(model, rgb), weights, recipe, pictures, out)
    wide = fit_heads(recipe.wide_heads, statistics_seen.beside(learned), pictures, recipe.seed)
    return Mini(model, heads, wide).eval()
