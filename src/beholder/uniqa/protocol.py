"""Full-label and few-label protocols: repeat, measure each run once on its test part, report median and IQR.

Every run leaves its result as `evaluate` writes it, as soon as it is done; a second call skips what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from beholder.batch.files import replacing
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.evaluate.result import RESULT_FILE, Result, read_result
from beholder.evaluate.run import evaluate
from beholder.uniqa.adapt import Learned, Run, learn
from beholder.uniqa.config import AdaptRecipe, FewLabelRecipe, LearnConfig
from beholder.uniqa.holdout import Rows, draw_labels, official_rows, random_rows, refuse_shared
from beholder.uniqa.material import Material, predict
from beholder.uniqa.model import Uniqa
from beholder.uniqa.probe import probe

SUMMARY_FILE = "summary.json"

_STRICT = ConfigDict(extra="forbid", frozen=True)


class Spread(BaseModel):
    """One number over repeats."""

    model_config = _STRICT

    median: float
    low: float
    """First quartile."""
    high: float
    """Third quartile."""
    values: tuple[float, ...]
    """In the order of the repeats."""

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median and quartiles of at least one value."""
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        return cls(median=float(median), low=float(low), high=float(high), values=tuple(values))


class Line(BaseModel):
    """What one setting reached."""

    model_config = _STRICT

    setting: str
    """E.g. `best`, `last`, `zero-shot single`, `50 labels ensemble`."""
    n_test: int
    srcc: Spread
    plcc: Spread
    """After the 4-parameter logistic, as papers report it."""


class Summary(BaseModel):
    """A whole protocol: `summary.json`."""

    model_config = _STRICT

    name: str
    manifest: str
    manifest_sha256: str
    repeats: int
    lines: tuple[Line, ...]

    def write(self, folder: Path) -> Summary:
        """Write `summary.json` into a folder, whole or not at all."""
        with replacing(folder / SUMMARY_FILE) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return self


def run_adapt(recipe: AdaptRecipe, out: Path) -> Summary:
    """The full-label protocol. `out/NN/model` holds the adapted model of each repeat, `out/NN/best` its result.

    Raises UserError where test and training part share a file or a group.
    """
    torch.set_num_threads(recipe.threads)
    manifest = read_manifest(recipe.manifest)
    found: dict[str, list[Result]] = {"best": [], "last": []}
    for repeat in range(recipe.repeats):
        folder = out / f"{repeat:02d}"
        if not all((folder / which / RESULT_FILE).is_file() for which in found):
            _adapt_once(recipe, manifest, repeat, folder)
        for which, results in found.items():
            results.append(read_result(folder / which))
    return _summary(recipe.name, manifest, recipe.repeats, found).write(out)


def _adapt_once(recipe: AdaptRecipe, manifest: Manifest, repeat: int, folder: Path) -> None:
    if recipe.split == "official":
        known, test = official_rows(manifest)
    else:
        known, test = random_rows(manifest, recipe.test_share, repeat, recipe.seed)
    material = Material.of(manifest, recipe.view)
    train, tested = material.take(known), material.take(test)
    refuse_shared({"the training part": train.manifest, "the test part": tested.manifest})
    model = Uniqa.load(recipe.model)
    run = Run(folder / "checkpoints", recipe.seed + repeat, recipe.bf16, recipe.loaders)
    if recipe.learn.method == "probe":
        train, tested = train.encoded(model), tested.encoded(model)
        scores = _probe_scores(train, tested)
        for which in ("last", "best"):
            store(tested.manifest, scores, recipe.name, folder / which)
        return
    learned = learn(model, train, recipe.learn, run)
    _finished_model(learned, train.manifest, recipe.view.grid_short).save(folder / "model")
    for which, one in (("last", learned.last), ("best", learned.best)):
        store(tested.manifest, predict(one, tested), recipe.name, folder / which)


def run_few_label(recipe: FewLabelRecipe, out: Path) -> Summary:
    """The few-label protocol: zero-shot, then `draws` adapters per label count, all on one test part."""
    torch.set_num_threads(recipe.threads)
    manifest = read_manifest(recipe.manifest)
    has_test = "test" in manifest.column("split")
    known, test = official_rows(manifest) if has_test else random_rows(manifest, recipe.test_share, 0, recipe.seed)
    material = Material.of(manifest, recipe.view)
    train, tested = material.take(known), material.take(test)
    refuse_shared({"the training part": train.manifest, "the test part": tested.manifest})
    if max(recipe.labels) > len(train):
        raise UserError(f"labels = {list(recipe.labels)}, but the training part of {manifest.name} has {len(train)}")
    model = Uniqa.load(recipe.model)
    tested = tested.encoded(model)
    if recipe.learn.features == "grid":
        train = train.encoded(model)
    found: dict[str, list[Result]] = {}
    for prompts, groups in recipe.prompts.items():
        model.set_prompts(model.tokenizer, {manifest.task: groups})
        folder = out / f"zero-shot-{prompts}"
        if not (folder / RESULT_FILE).is_file():
            store(tested.manifest, predict(model, tested), recipe.name, folder)
        found[f"zero-shot {prompts}"] = [read_result(folder)]
        config = recipe.learn.model_copy(update={"prompts": groups})
        for count in recipe.labels:
            results = found.setdefault(f"{count} labels {prompts}", [])
            for draw in range(recipe.draws):
                folder = out / f"{count}-labels-{prompts}" / f"{draw:02d}"
                if not (folder / RESULT_FILE).is_file():
                    rows = draw_labels(len(train), count, recipe.seed + draw)
                    run = Run(folder / "checkpoints", recipe.seed + draw, recipe.bf16, recipe.loaders)
                    scores = learned_scores(model, train, rows, tested, config, run)
                    store(tested.manifest, scores, recipe.name, folder)
                results.append(read_result(folder))
    return _summary(recipe.name, manifest, recipe.draws, found).write(out)


def learned_scores(
    model: Uniqa, train: Material, rows: Rows, tested: Material, config: LearnConfig, run: Run
) -> NDArray[np.float64]:
    """(n,) raw scores of `tested` by what `config.method` learns from `rows` of `train`: the chosen epoch."""
    part = train.take(rows)
    if config.method == "probe":
        return _probe_scores(part, tested)
    best = learn(model, part, config, run).best
    return predict(best, replace(tested, grid=None) if config.method == "finetune" else tested)


def _probe_scores(train: Material, tested: Material) -> NDArray[np.float64]:
    if train.grid is None or tested.grid is None:
        raise ValueError("a probe needs encoded pictures")
    return probe(train.grid, train.manifest.unit_scores())(tested.grid)


def store(manifest: Manifest, raw: NDArray[np.float64], model: str, folder: Path) -> Result:
    """Write raw scores of the rows of `manifest`, and the result that `evaluate` finds, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scores.parquet"
    columns = {"path": manifest.column("path"), manifest.task: pa.array(raw, from_pandas=True)}
    pq.write_table(pa.table({**columns, "model": [model] * len(raw)}), file)
    return evaluate(file, manifest, out=folder, split="all")


def _finished_model(learned: Learned, train: Manifest, short: int | None) -> Uniqa:
    """The best model with what its folder has to say about its training; `short` is that of the scoring grid."""
    model = learned.best
    head = model.config.tasks[train.task].model_copy(
        update={
            "short": short,
            "native_range": (train.range.low, train.range.high),
            "trained_on": (f"{train.name}:train",),
        }
    )
    model.config = model.config.model_copy(
        update={
            "tasks": {**model.config.tasks, train.task: head},
            "data_licence": train.licence,
            "manifest_sha256": {**model.config.manifest_sha256, train.name: train.sha256},
        }
    )
    return model


def _summary(name: str, manifest: Manifest, repeats: int, found: dict[str, list[Result]]) -> Summary:
    lines = [
        Line(
            setting=setting,
            n_test=results[0].n_total,
            srcc=Spread.of([_value(result, "srcc") for result in results]),
            plcc=Spread.of([_value(result, "plcc_logistic4") for result in results]),
        )
        for setting, results in found.items()
    ]
    return Summary(
        name=name, manifest=manifest.name, manifest_sha256=manifest.sha256, repeats=repeats, lines=tuple(lines)
    )


def _value(result: Result, metric: str) -> float:
    value = result.metrics[metric].value
    return 0.0 if value is None else value  # constant scores order nothing
