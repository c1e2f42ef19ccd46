"""What a run would need, found out without running it: data, shapes, memory and time, from one real step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from transformers import Trainer, TrainerCallback
from transformers.trainer_utils import SaveStrategy

from beholder.data.columns import SPLITS
from beholder.data.held_out import HeldOut
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError
from beholder.training.lines import silence
from beholder.uniqa.adapt import default_epochs
from beholder.uniqa.config import AdaptRecipe, FewLabelRecipe, LearnConfig, PretrainRecipe, StudyRecipe
from beholder.uniqa.crops import Pictures, Pixels
from beholder.uniqa.features import encode_grid, encode_rgb, views_of
from beholder.uniqa.holdout import Rows, official_rows, random_rows, refuse_shared
from beholder.uniqa.loss import global_loss
from beholder.uniqa.material import Material
from beholder.uniqa.model import Uniqa
from beholder.uniqa.pretrain import Contrast, Draws, make_trainer, nano_model, start_model
from beholder.uniqa.prompts import GROUPS
from beholder.uniqa.study import ARMS, FINETUNED, read_manifests
from beholder.uniqa.texts import UnifiedSet, read_unified

ADAM_BYTES = 16
"""Per learned parameter: weight, gradient and two moments in float32."""

TIMED_STEPS = 2
"""Real steps of a dry run."""

SAMPLE = 32
"""Pictures that are opened and encoded."""


@dataclass(frozen=True)
class Estimate:
    """What was found, line by line, for people; and what a run would take on this machine."""

    lines: tuple[str, ...]
    seconds: float
    """Of all steps, or all repeats, at the speed of the step that was timed."""
    states_gib: float
    """Weights, gradients and moments of Adam."""
    peak_gib: float | None
    """Measured on the GPU during the step; None on a CPU."""


def check_texts(recipe: PretrainRecipe) -> UnifiedSet:
    """The unified set of a recipe. Raises UserError where a picture is held out, or where no row can be used."""
    unified = read_unified(recipe.texts.files, recipe.texts.image_root)
    if recipe.texts.held_out:
        held = HeldOut(read_manifest(path) for path in recipe.texts.held_out)
        for picture in unified.pictures:
            if owner := held.owner(Path(picture.path)):
                raise UserError(
                    f"{picture.path} is a test picture of {owner}; its text would tell its score. "
                    "Write the captions again without test pictures."
                )
    return unified


def dry_run_pretrain(recipe: PretrainRecipe) -> Estimate:
    """One real step of a pre-training, in a folder that is thrown away. Raises UserError as the run would."""
    unified = check_texts(recipe)
    paths = [picture.path for picture in unified.pictures]
    bad = unreadable(paths[:: max(1, len(paths) // SAMPLE)])
    model = start_model(recipe, unified.texts())
    pixels = Pictures(paths)
    steps = Draws(unified, pixels, recipe, model.config.side).steps
    with TemporaryDirectory() as folder:
        short = recipe.model_copy(update={"steps": TIMED_STEPS, "epochs": None, "loaders": 0})
        trainer = make_trainer(short, model, unified, pixels, Path(folder))
        loading, step = _time_step(trainer)
        per_process, processes = trainer.args.per_device_train_batch_size, trainer.args.world_size
    learned = sum(p.numel() for p in model.encoder.parameters() if p.requires_grad)
    rows = recipe.chunk or per_process
    states, peak = learned * ADAM_BYTES / 2**30, _peak_gib()
    texts = unified.texts()
    seconds = steps * (step + (loading if recipe.loaders == 0 else max(0.0, loading / recipe.loaders - step)))
    return Estimate(
        (
            f"data: {len(unified)} pictures, {len(texts)} texts; {unified.refused}",
            f"pictures: {len(bad)} of {min(len(paths), SAMPLE)} looked at can't be read"
            + (f": {bad[0]}" if bad else ""),
            f"encoder: {learned:,} parameters learn; input {model.config.side} px, features {model.width}",
            f"step: {per_process} pictures x {processes} processes, graph of {rows} at once; "
            f"{loading:.2f} s to load, {step:.2f} s to learn",
            _memory(states, peak),
            f"time: {steps} steps, about {_duration(seconds)} on this machine",
        ),
        seconds,
        states,
        peak,
    )


def dry_run_labels(recipe: AdaptRecipe | FewLabelRecipe) -> Estimate:
    """Parts and shapes of an adapter run, and its time from encoding a few pictures."""
    manifest = read_manifest(recipe.manifest)
    known, test = _parts(recipe, manifest)
    material = Material.of(manifest, recipe.view)
    train, tested = material.take(known), material.take(test)
    refuse_shared({"the training part": train.manifest, "the test part": tested.manifest})
    model = Uniqa.load(recipe.model).to("cuda" if torch.cuda.is_available() else "cpu")
    sample = train.whole.take(range(min(SAMPLE, len(train))))
    start = perf_counter()
    grid = encode_grid(model, sample)
    per_picture = (perf_counter() - start) / len(sample)
    per_view = per_picture / max(1.0, float(grid.real.sum()) / len(sample))
    seconds, runs = _adapter_seconds(recipe, len(train), len(tested), per_picture, per_view)
    learned = 2 * model.width * (model.width // 2) + 5
    if recipe.learn.method == "finetune":
        learned += sum(p.numel() for p in model.encoder.vision_model.parameters())
    states, peak = learned * ADAM_BYTES / 2**30, _peak_gib()
    return Estimate(
        (
            f"data: {manifest.name}, {len(train)} to learn from, {len(tested)} to test on; nothing shared",
            f"pictures: {len(grid.problems)} of {len(sample)} looked at can't be read"
            + "".join(f": {problem}" for problem in list(grid.problems.values())[:1]),
            f"model: {learned:,} parameters learn; features {model.width}, up to {grid.real.shape[1]} views a picture",
            _memory(states, peak),
            f"time: {runs} runs, about {_duration(seconds)} on this machine",
        ),
        seconds,
        states,
        peak,
    )


def dry_run_study(recipe: StudyRecipe) -> Estimate:
    """Parts, sizes and time of the study, from one real step of its pre-training on random texts and pixels."""
    lines, n_views, crops = [], 0.0, 0
    for task, manifest in read_manifests(recipe).items():
        parts = {split: manifest.select(split) for split in SPLITS}
        refuse_shared({f"the {split} part": part for split, part in parts.items()})
        side = recipe.encoder.side
        views = float(np.mean([len(views_of(rgb, side)) for rgb in _some(manifest, recipe.data[task].view.grid_short)]))
        n_views += views * len(manifest)
        finetune = recipe.data[task].finetune
        crops += (finetune["few"].epochs or default_epochs(0)) * sum(recipe.labels)
        crops += (finetune["all"].epochs or default_epochs(len(parts["train"]))) * len(parts["train"])
        sizes = ", ".join(f"{len(part)} {split}" for split, part in parts.items())
        lines.append(f"{task}: {manifest.name}, {sizes}; about {views:.1f} views a picture")
    model = nano_model(recipe.encoder, [text for groups in GROUPS.values() for text in groups], recipe.seed)
    step, view = _time_nano(model, recipe)
    learned = sum(parameter.numel() for parameter in model.encoder.parameters())
    trained = sum(1 for files in ARMS.values() if files)
    seconds = trained * recipe.steps * step + len(ARMS) * n_views * view + len(FINETUNED) * crops * 3 * view
    seconds *= len(recipe.seeds) / recipe.processes
    lines += [
        f"encoder: {learned:,} parameters; {step:.2f} s a step of {recipe.batch}, {1000 * view:.1f} ms a view",
        f"{len(ARMS)} arms x {len(recipe.seeds)} seeds, {recipe.processes} at a time, adapters not counted",
        f"time: about {_duration(seconds)} on this machine",
    ]
    return Estimate(tuple(lines), seconds, learned * ADAM_BYTES / 2**30, _peak_gib())


def _some(manifest: Manifest, short: int | None) -> list[Pixels]:
    pictures = Pictures(manifest.paths()[:: max(1, len(manifest) // SAMPLE)], short=short)
    return [pictures[row] for row in range(len(pictures))]


def _time_nano(model: Uniqa, recipe: StudyRecipe) -> tuple[float, float]:
    """Seconds of one step of pre-training and of encoding one view."""
    torch.set_num_threads(recipe.threads)
    side, n = model.config.side, recipe.batch
    rgb = torch.randint(256, (n, side, side, 3), dtype=torch.uint8)
    tokens = torch.randint(4, model.encoder.config.text_config.vocab_size, (n, recipe.encoder.context))
    tokens[:, -1] = model.tokenizer.eos_token_id
    model.encoder.requires_grad_(True)
    seconds = []
    for _ in range(2):  # the first also allocates
        start = perf_counter()
        global_loss(Contrast(model)(rgb, tokens)).backward()  # type: ignore[no-untyped-call]
        seconds.append(perf_counter() - start)
    start = perf_counter()
    with torch.inference_mode():
        encode_rgb(model, rgb)
    return seconds[-1], (perf_counter() - start) / n


def unreadable(paths: Sequence[str]) -> list[str]:
    """What is wrong with those of some pictures that can't be opened."""
    found = []
    for path in paths:
        try:
            open_image(path)
        except ImageError as error:
            found.append(f"{path}: {error}")
    return found


def _parts(recipe: AdaptRecipe | FewLabelRecipe, manifest: Manifest) -> tuple[Rows, Rows]:
    official = recipe.split == "official" if isinstance(recipe, AdaptRecipe) else "test" in manifest.column("split")
    return official_rows(manifest) if official else random_rows(manifest, recipe.test_share, 0, recipe.seed)


def _adapter_seconds(
    recipe: AdaptRecipe | FewLabelRecipe, n_train: int, n_test: int, per_picture: float, per_view: float
) -> tuple[float, int]:
    """Seconds of the whole protocol and its number of runs. A backward pass costs twice its forward pass."""
    if isinstance(recipe, AdaptRecipe):
        counts, tests = [n_train] * recipe.repeats, recipe.repeats * (2 if recipe.learn.method == "adapter" else 1)
    else:
        counts, tests = [n for n in recipe.labels for _ in range(recipe.draws) for _ in recipe.prompts], 1
    seconds = sum(_learning_seconds(recipe.learn, n, per_picture, per_view) for n in counts)
    return seconds + tests * n_test * per_picture, len(counts)


def _learning_seconds(learn: LearnConfig, n: int, per_picture: float, per_view: float) -> float:
    epochs = learn.epochs or default_epochs(n)
    if learn.features == "grid":
        return n * per_picture + epochs * n / learn.batch * 0.004  # a step of the head alone
    return epochs * n * per_view * (3 if learn.method == "finetune" else 1)


class _Clock(TrainerCallback):
    """Notes when each step begins, its batch already loaded, and when it has ended."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_step_begin(self, *_: object, **__: object) -> None:
        _synchronise()
        self._start = perf_counter()

    def on_step_end(self, *_: object, **__: object) -> None:
        _synchronise()
        self.seconds.append(perf_counter() - self._start)


def _time_step(trainer: Trainer) -> tuple[float, float]:
    """Seconds to load one batch and to learn from one."""
    data = cast(Dataset[dict[str, Tensor]], trainer.train_dataset)
    n = trainer.args.per_device_train_batch_size
    start = perf_counter()
    next(iter(DataLoader(Subset(data, range(n)), batch_size=n, collate_fn=trainer.data_collator)))
    loading = perf_counter() - start
    clock = _Clock()
    trainer.add_callback(clock)  # type: ignore[no-untyped-call]
    trainer.args.save_strategy = SaveStrategy.NO
    silence(trainer)
    trainer.train()
    return loading, min(clock.seconds)  # the first step also allocates


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _peak_gib() -> float | None:
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else None


def _memory(states: float, peak: float | None) -> str:
    measured = "the graph comes on top" if peak is None else f"{peak:.2f} GiB at the peak of the step, measured"
    return f"memory: {states:.2f} GiB of weights, gradients and Adam's moments; {measured}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
