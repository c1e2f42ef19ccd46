"""The study: unified pre-training against less of it, purified comments against all, and ways to learn from labels.

Everything is from scratch, with one budget and over several seeds. A job is one pre-training of one seed with all that
is measured on it; each result is a file of its own as soon as it is known, and a second run skips what is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from beholder.batch.files import replacing
from beholder.batch.jobs import run_jobs
from beholder.data.columns import SPLITS, Split
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.evaluate.correlation import srcc
from beholder.task import TASKS, Task
from beholder.uniqa.adapt import Run
from beholder.uniqa.config import LearnConfig, PretrainRecipe, StudyRecipe, TextsConfig
from beholder.uniqa.crops import Pictures
from beholder.uniqa.holdout import draw_labels, refuse_shared
from beholder.uniqa.material import Material, predict
from beholder.uniqa.model import Uniqa
from beholder.uniqa.pretrain import nano_model, pretrain
from beholder.uniqa.protocol import learned_scores
from beholder.uniqa.study_texts import TEXT_FILES, write_texts
from beholder.uniqa.texts import UnifiedSet, read_unified

ARMS: dict[str, tuple[str, ...]] = {
    "unified": ("quality", "aesthetics", "purified"),
    "quality": ("quality",),
    "aesthetics": ("aesthetics", "purified"),
    "unpurified": ("quality", "aesthetics", "comments"),
    "none": (),
}
"""Pre-training by the text files it learns from."""

FINETUNED = ("unified", "none")
"""Arms on which everything is fine-tuned too."""

REPORTED: tuple[Split, ...] = ("val", "test")

Stage = Literal["frozen", "finetune"]


class Row(BaseModel):
    """One measurement."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int
    arm: str
    task: Task
    method: Literal["zero-shot", "adapter", "probe", "finetune"]
    prompts: Literal["single", "ensemble"]
    labels: int | None
    """None for all of the training part; 0 for zero-shot."""
    split: Split
    n: int
    srcc: float
    """0 where every score is the same."""


@dataclass(frozen=True)
class Bench:
    """What all jobs of one process share: texts, and pictures decoded once."""

    recipe: StudyRecipe
    texts: dict[str, Path]
    train: dict[Task, Material]
    tested: dict[Task, Material]
    """Validation and test rows."""


def run_study(
    recipe: StudyRecipe, out: Path, on_done: Callable[[str], None] = print, arms: Sequence[str] = tuple(ARMS)
) -> list[Row]:
    """Some arms, by default all, of all seeds, `recipe.processes` at a time; the rows of all that is done by then.

    Raises UserError where the parts of a manifest share a file or a group, or have no val or test rows.
    """
    manifests = read_manifests(recipe)
    for manifest in manifests.values():
        refuse_shared({f"the {split} part": manifest.select(split) for split in SPLITS})
    write_texts(recipe, manifests, out / "texts")
    jobs = [(seed, arm) for seed in recipe.seeds for arm in arms if not _is_done(out, seed, arm)]
    done = run_jobs(_run_here, [(*job, out) for job in jobs], recipe.processes, _start, (recipe, out))
    for number, (seed, arm, _) in enumerate(done, start=1):
        on_done(f"seed {seed}, {arm}: done, {number} of {len(jobs)}")
    return read_rows(out, recipe)


def read_manifests(recipe: StudyRecipe) -> dict[Task, Manifest]:
    """Both manifests. Raises UserError for the wrong task."""
    manifests = {task: read_manifest(data.manifest) for task, data in recipe.data.items()}
    for task, manifest in manifests.items():
        if manifest.task != task:
            raise UserError(f"data.{task} names {manifest.name}, whose task is {manifest.task!r}")
    return manifests


def read_rows(out: Path, recipe: StudyRecipe) -> list[Row]:
    """The rows of every finished job of the recipe's seeds."""
    files = [_file(out, seed, arm, stage) for seed in recipe.seeds for arm in ARMS for stage in _stages(arm)]
    return [Row.model_validate(row) for file in files if file.is_file() for row in json.loads(file.read_text())]


def make_bench(recipe: StudyRecipe, out: Path) -> Bench:
    """What the jobs of one process need; pictures are decoded when they are first looked at, and kept."""
    train, tested = {}, {}
    for task, manifest in read_manifests(recipe).items():
        material = Material.of(manifest, recipe.data[task].view, keep=True)
        splits = np.array(manifest.column("split"))
        train[task] = material.take(np.flatnonzero(splits == "train"))
        tested[task] = material.take(np.flatnonzero(splits != "train"))
    return Bench(recipe, {name: out / "texts" / f"{name}.jsonl" for name in TEXT_FILES}, train, tested)


def run_job(bench: Bench, seed: int, arm: str, out: Path) -> None:
    """Pre-train one arm with one seed and measure everything on it; what is there already is not done again."""
    model = make_encoder(bench, seed, arm, out / "encoders" / f"{seed}-{arm}")
    work = out / "work" / f"{seed}-{arm}"
    for stage in _stages(arm):
        file = _file(out, seed, arm, stage)
        if not file.is_file():
            measure = _measure_frozen if stage == "frozen" else _measure_finetuned
            rows = measure(bench, model, seed, arm, work)
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as temporary:
                temporary.write_text(json.dumps([row.model_dump() for row in rows], indent=1) + "\n")


def make_encoder(bench: Bench, seed: int, arm: str, out: Path) -> Uniqa:
    """The encoder of one arm and seed, from `out/model` if it is there. All arms of a seed start from one."""
    if (out / "model" / "config.json").is_file():
        return Uniqa.load(out / "model")
    recipe = bench.recipe
    vocabulary = read_unified(list(bench.texts.values())).texts()  # of all arms: they differ in what they learn only
    model = nano_model(recipe.encoder, vocabulary, seed)
    if not ARMS[arm]:
        model.save(out / "model")
        return model.eval()
    files = tuple(bench.texts[name] for name in ARMS[arm])
    settings = PretrainRecipe(
        kind="pretrain",
        name=f"{arm}-{seed}",
        texts=TextsConfig(files=files),
        encoder=recipe.encoder,
        batch=recipe.batch,
        epochs=None,
        steps=recipe.steps,
        native_crop=recipe.native_crop,
        optimiser=recipe.optimiser,
        save_steps=recipe.steps,
        seed=seed,
        bf16=recipe.bf16,
        threads=recipe.threads,
    )
    unified = read_unified(files)
    return pretrain(settings, unified, out, pixels=_pixels(bench, unified), model=model)


def _pixels(bench: Bench, unified: UnifiedSet) -> Pictures:
    """The pictures of a set of texts, decoded already."""
    place = {
        str(Path(path).resolve()): (material.crops, row)
        for material in bench.train.values()
        for row, path in enumerate(material.crops.paths)
    }
    found = [(picture.path, place[picture.path]) for picture in unified.pictures]
    return Pictures.decoded({path: pictures[row] for path, (pictures, row) in found})


def _measure_frozen(bench: Bench, model: Uniqa, seed: int, arm: str, work: Path) -> list[Row]:
    recipe, rows = bench.recipe, []
    for task in TASKS:
        data = recipe.data[task]
        train, tested = bench.train[task].encoded(model), bench.tested[task].encoded(model)
        for name, groups in (("single", data.single), ("ensemble", data.ensemble)):
            model.set_prompts(model.tokenizer, {task: groups})
            scores = predict(model, tested)
            rows += _rows(tested, scores, seed=seed, arm=arm, method="zero-shot", prompts=name, labels=0)
        for labels in (*recipe.labels, None):
            config = data.adapter["all" if labels is None else "few"]
            for method in ("adapter", "probe"):
                chosen = config.model_copy(update={"method": method, "prompts": data.single})
                rows += _learned(model, train, tested, chosen, seed, arm, labels, work)
    return rows


def _measure_finetuned(bench: Bench, model: Uniqa, seed: int, arm: str, work: Path) -> list[Row]:
    recipe, rows = bench.recipe, []
    for task in TASKS:
        data = recipe.data[task]
        for labels in (*recipe.labels, None):
            config = data.finetune["all" if labels is None else "few"]
            config = config.model_copy(update={"prompts": data.single})
            rows += _learned(model, bench.train[task], bench.tested[task], config, seed, arm, labels, work)
    return rows


def _learned(
    model: Uniqa,
    train: Material,
    tested: Material,
    config: LearnConfig,
    seed: int,
    arm: str,
    labels: int | None,
    work: Path,
) -> list[Row]:
    run = Run(work / f"{train.manifest.task}-{config.method}-{labels or 'all'}", seed)
    chosen = draw_labels(len(train), labels or len(train), seed)
    scores = learned_scores(model, train, chosen, tested, config, run)
    rmtree(run.out, ignore_errors=True)  # checkpoints of a finished run; there are hundreds of runs
    return _rows(tested, scores, seed=seed, arm=arm, method=config.method, prompts="single", labels=labels)


def _rows(tested: Material, scores: NDArray[np.float64], **setting: Any) -> list[Row]:
    """The rows of one setting: one per reported split."""
    splits, mos = np.array(tested.manifest.column("split")), tested.manifest.unit_scores()
    rows = []
    for split in REPORTED:
        chosen = splits == split
        found = srcc(scores[chosen], mos[chosen])
        found = 0.0 if np.isnan(found) else found
        rows.append(Row(**setting, task=tested.manifest.task, split=split, n=int(chosen.sum()), srcc=found))
    return rows


def _stages(arm: str) -> tuple[Stage, ...]:
    return ("frozen", "finetune") if arm in FINETUNED else ("frozen",)


def _file(out: Path, seed: int, arm: str, stage: Stage) -> Path:
    return out / "results" / f"{seed}-{arm}-{stage}.json"


def _is_done(out: Path, seed: int, arm: str) -> bool:
    return all(_file(out, seed, arm, stage).is_file() for stage in _stages(arm))


_benches: list[Bench] = []
"""The bench of a worker process, made once when it starts."""


def _start(recipe: StudyRecipe, out: Path) -> None:
    torch.set_num_threads(recipe.threads)
    _benches.append(make_bench(recipe, out))


def _run_here(seed: int, arm: str, out: Path) -> None:
    run_job(_benches[0], seed, arm, out)
