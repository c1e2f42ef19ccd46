"""Learn to rate from labels: the adapter on a frozen encoder, everything at once, or ridge regression (section 6).

The test part never comes here. An epoch is chosen, if at all, on a part held out from the training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler, SequentialSampler
from transformers import EvalPrediction, Trainer, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from beholder.data.manifest import Manifest
from beholder.errors import UserError
from beholder.evaluate.correlation import srcc
from beholder.task import Task
from beholder.uniqa.config import LearnConfig, ViewConfig
from beholder.uniqa.crops import Pictures, random_crop
from beholder.uniqa.features import Grid, encode_grid, encode_rgb, mean_of_real, score_grid, views_of
from beholder.uniqa.head import level_score
from beholder.uniqa.holdout import Rows, hold_out, refuse_shared, take
from beholder.uniqa.model import Uniqa

ViewsOf = Callable[[int, np.random.Generator], Tensor]
"""(row, random numbers) -> views of one picture: features (K, width), or pixels uint8 (K, S, S, 3)."""

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


@dataclass(frozen=True)
class Material:
    """Rated pictures, to learn from or to be scored."""

    manifest: Manifest
    crops: Pictures
    """What random crops are cut from."""
    whole: Pictures
    """What the scoring grid is cut from."""
    grid: Grid | None = None
    """The encoded scoring grid, where that is known already."""

    @classmethod
    def of(cls, manifest: Manifest, view: ViewConfig, *, keep: bool = False) -> Material:
        """The pictures of a manifest. Nothing is opened yet; `keep` keeps them in memory once they were."""
        crops = Pictures(manifest.paths(), short=view.crop_short, keep=keep)
        same = view.crop_short == view.grid_short
        return cls(manifest, crops, crops if same else Pictures(manifest.paths(), short=view.grid_short, keep=keep))

    def __len__(self) -> int:
        return len(self.manifest)

    def take(self, rows: Rows) -> Material:
        """Some rows, in the order given."""
        grid = None if self.grid is None else self.grid.take(rows)
        return Material(take(self.manifest, rows), self.crops.take(rows), self.whole.take(rows), grid)

    def encoded(self, model: Uniqa) -> Material:
        """With the grid encoded by `model`."""
        return replace(self, grid=encode_grid(model, self.whole))

    def scored_views(self, side: int) -> ViewsOf:
        """The views of a row that score it: features where they are known, else pixels."""
        if self.grid is not None:
            return partial(grid_features_of, grid=self.grid)
        return partial(grid_pixels_of, pictures=self.whole, side=side)


def predict(model: Uniqa, material: Material) -> NDArray[np.float64]:
    """(n,) raw scores of pictures by the model's head for their task, the mean over the views of each grid."""
    grid = encode_grid(model, material.whole) if material.grid is None else material.grid
    return score_grid(model, material.manifest.task, grid)


def default_epochs(n_pictures: int) -> int:
    """Epochs for so many training pictures: 50 up to 2,000, 20 up to 20,000, else 10."""
    return next((epochs for most, epochs in EPOCHS if n_pictures <= most), 10)


class Rater(nn.Module):
    """What learns: an adapter with its level values, and with `whole` the image tower too.

    Shares its parameters with the model it is made from. The frozen encoder is deliberately not a part of it: a
    checkpoint per epoch would hold hundreds of megabytes that are on disk already.
    """

    def __init__(self, model: Uniqa, task: Task, *, whole: bool) -> None:
        super().__init__()
        self.adapter, self.levels = model.adapters[task], model.levels[task]
        self.register_buffer("text", model.text(task).detach().clone())
        self.register_buffer("scale", model.encoder.logit_scale.detach().clone())
        self.tower = _ImageTower(model) if whole else None
        self._frozen = (model,)  # in a tuple, where nn.Module does not look

    def forward(self, views: Tensor, real: Tensor, target: Tensor) -> dict[str, Tensor]:
        """`views` features (B, K, width) or pixels uint8 (B, K, S, S, 3), `real` bool (B, K), `target` (B,) in [0, 1].

        Gives `score` (B,), the mean over real views, and `loss`, the mean squared error to `target`.
        """
        some = views[real]
        if some.dtype == torch.uint8:
            some = self._encode(some)
        view_score = level_score(self.adapter(some), self.get_buffer("text"), self.get_buffer("scale"), self.levels)
        score = mean_of_real(torch.zeros_like(real, dtype=view_score.dtype).masked_scatter(real, view_score), real)
        return {"loss": F.mse_loss(score.float(), target), "score": score}

    def _encode(self, rgb: Tensor) -> Tensor:
        if self.tower is not None:
            features: Tensor = self.tower(rgb)
            return features
        with torch.no_grad():
            return encode_rgb(self._frozen[0], rgb)


class _ImageTower(nn.Module):
    """The part of an encoder that pictures go through, free to learn."""

    def __init__(self, model: Uniqa) -> None:
        super().__init__()
        self.vision = model.encoder.vision_model.requires_grad_(True)
        self.projection = getattr(model.encoder, "visual_projection", None)  # SigLIP has none
        if self.projection is not None:
            self.projection.requires_grad_(True)
        self._model = (model,)

    def forward(self, rgb: Tensor) -> Tensor:
        return encode_rgb(self._model[0], rgb)


class Lessons(Dataset[dict[str, Tensor]]):
    """Item i of a run: some views of a picture and its score, drawn with seed (seed, i) alone.

    Each epoch is a permutation, so any process, worker or resumed run draws the same item i. Without a seed the
    pictures come once, in their order.
    """

    def __init__(self, views: ViewsOf, unit: NDArray[np.float64], *, epochs: int = 1, seed: int | None = None) -> None:
        """`views` of a row: features (K, width) or pixels uint8 (K, S, S, 3)."""
        self.views, self.unit, self.epochs, self.seed = views, torch.from_numpy(unit).float(), epochs, seed
        self._epoch, self._order = -1, np.arange(len(unit))

    def __len__(self) -> int:
        return self.epochs * len(self.unit)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        epoch, place = divmod(index, len(self.unit))
        if self.seed is not None and epoch != self._epoch:
            rng = np.random.default_rng((self.seed, 0, epoch))
            self._epoch, self._order = epoch, rng.permutation(len(self.unit))
        row = int(self._order[place])
        return {
            "views": self.views(row, np.random.default_rng((self.seed or 0, 1, index))),
            "target": self.unit[row],
        }


def crop_of(row: int, rng: np.random.Generator, *, pictures: Pictures, side: int) -> Tensor:
    """One random crop, mirrored half of the time: uint8 (1, side, side, 3)."""
    return torch.from_numpy(random_crop(pictures[row], side, rng, mirror=True))[None]


def grid_pixels_of(row: int, rng: np.random.Generator, *, pictures: Pictures, side: int) -> Tensor:
    """The grid as it is scored: uint8 (K, side, side, 3)."""
    return views_of(pictures[row], side)


def grid_features_of(row: int, rng: np.random.Generator, *, grid: Grid) -> Tensor:
    """The encoded grid: (K, width)."""
    return grid.values[row][grid.real[row]]


def collate(items: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Pictures with different numbers of views side by side, padded; `real` says which are views."""
    counts = torch.tensor([len(item["views"]) for item in items])
    real = torch.arange(int(counts.max()))[None, :] < counts[:, None]
    views = items[0]["views"].new_zeros(*real.shape, *items[0]["views"].shape[1:])
    views[real] = torch.cat([item["views"] for item in items])
    return {"views": views, "real": real, "target": torch.stack([item["target"] for item in items])}


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
    views = partial(crop_of, pictures=rest.crops, side=side) if config.features == "online" else rest.scored_views(side)
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
    trainer.train(resume_from_checkpoint=checkpoint)
    last = _finished(model)
    best, best_srcc = last, None
    if trainer.state.best_model_checkpoint is not None:
        rater.load_state_dict(load_file(Path(trainer.state.best_model_checkpoint) / "model.safetensors"))
        best, best_srcc = _finished(model), trainer.state.best_metric
    loss = tuple(float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    return Learned(last, best, best_srcc, loss)


def probe(train: Grid, unit: NDArray[np.float64]) -> Callable[[Grid], NDArray[np.float64]]:
    """Ridge regression of scores on the mean normalised feature of each picture; its strength by leave-one-out.

    Returns a function from features to (n,) scores.
    """
    solver = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 5, 13)))
    solver.fit(_mean_feature(train), unit)
    return lambda grid: np.asarray(solver.predict(_mean_feature(grid)), np.float64)


def _mean_feature(grid: Grid) -> NDArray[np.float64]:
    unit = F.normalize(grid.values, dim=-1)  # padding stays 0
    return np.asarray((unit.sum(dim=1) / grid.real.sum(dim=1, keepdim=True)).double().numpy())


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
