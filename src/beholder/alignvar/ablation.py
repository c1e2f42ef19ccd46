"""The ablation of the paper's claims: one recipe of rows, a training per row and seed, tables of what they left.

    python -m beholder.alignvar.ablation recipes/alignvar/ablation-nano.yaml -o runs/alignvar/ablation

A run lies under the hash of everything that its weights depend on, so a finished one is never done again, also where
rows were renamed or another ablation asks for the same; a stopped one goes on. All that tables and plots need of a run
is one small file in the folder of results, so its weights may go. Steps are fixed, not minutes: a busy machine changes
no result. The tables are written after each run, of what is done until then.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from beholder.alignvar.ablation_table import GREEDY, MEASURES, NAME, Measured, tables
from beholder.alignvar.config import Decoding, HccConfig, LossConfig, ScaConfig
from beholder.alignvar.crops import Judged
from beholder.alignvar.decode import upscale_tiles
from beholder.alignvar.degrade import enlarge
from beholder.alignvar.diagnose import diagnosed
from beholder.alignvar.folder import TOKENISER_FILE, load, load_tokeniser
from beholder.alignvar.gate import measure
from beholder.alignvar.learn import minutes_of
from beholder.alignvar.loss import training_loss
from beholder.alignvar.material import read_material
from beholder.alignvar.recipe import AlignVarRecipe
from beholder.alignvar.tokeniser import Tokeniser
from beholder.alignvar.train import BICUBIC, CEILING, train_alignvar
from beholder.alignvar.train_tokeniser import reconstruct
from beholder.alignvar.transformer import AlignVar
from beholder.batch.jobs import run_jobs
from beholder.errors import UserError
from beholder.language.rows import write_whole
from beholder.training.recipe import read_recipe
from beholder.training.run_folder import CHECKPOINTS, last_whole_checkpoint, read_state

EXAMPLE = "recipes/alignvar/ablation-nano.yaml"
FULL = "full"
"""The row that the others are compared with."""
JUDGED_BY = LossConfig(token_noise=0.0)
"""Losses that every row is measured with, whatever it was trained with."""


_Config = TypeVar("_Config", ScaConfig, HccConfig)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Strict):
    """One line of the table. Each field that it says stands in the place of the recipe's."""

    sca: ScaConfig | None = None
    hcc: HccConfig | None = None


class AblationRecipe(_Strict):
    """What all rows have in common, and the rows."""

    name: str
    seeds: tuple[int, ...] = Field(min_length=1)
    base: AlignVarRecipe
    """Its `seed` is replaced by each of `seeds`."""
    rows: dict[str, Row]

    @model_validator(mode="after")
    def _has_something_to_compare_with(self) -> Self:
        if FULL not in self.rows:
            raise ValueError(f"rows are {', '.join(self.rows) or 'none'}; one must be {FULL!r}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)}; one is there twice")
        return self


class Run(NamedTuple):
    """A training of one row with one seed, and where it lies."""

    title: str
    recipe: AlignVarRecipe
    digest: str
    """Of everything that its weights depend on."""
    folder: Path
    """Of this training; `folder / "model"` is what it left."""
    result: Path
    """Its held-out numbers; there once it is finished."""


def run_of(recipe: AblationRecipe, row: str, seed: int, out: Path, results: Path) -> Run:
    """The run of a row and a seed, below `out`, and its numbers, below `results`. Raises UserError where there is no
    tokeniser yet."""
    base, change = recipe.base, recipe.rows[row]
    loss = base.loss.model_copy(update={"hcc": _changed(base.loss.hcc, change.hcc)})
    one = base.model_copy(update={"seed": seed, "sca": _changed(base.sca, change.sca), "loss": loss})
    file = base.tokeniser / TOKENISER_FILE
    if not file.is_file():
        raise UserError(f"{file} is not there; train the tokeniser first: beholder train alignvar-tokenizer")
    facts = one.model_dump(mode="json", exclude={"name", "tokeniser"})
    facts["tokeniser"] = hashlib.sha256(file.read_bytes()).hexdigest()
    facts["model"] = one.model.model_dump(mode="json")  # the recipe only says its size
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    renamed = one.model_copy(update={"name": digest})
    return Run(f"{row}, seed {seed}", renamed, digest, out / digest, results / NAME / f"{digest}.json")


def _changed(config: _Config, change: _Config | None) -> _Config:
    """`config` with what `change` says; its defaults say nothing."""
    said = {} if change is None else {field: getattr(change, field) for field in change.model_fields_set}
    return config.model_copy(update=said)


def run_ablation(recipe: AblationRecipe, out: Path, results: Path, processes: int = 1) -> list[Path]:
    """Do what is not done yet, row by row and seed by seed, several at once; the files of the tables in `results`."""
    runs = {(row, seed): run_of(recipe, row, seed, out, results) for seed in recipe.seeds for row in recipe.rows}
    left = {run.digest: run for run in runs.values() if not run.result.is_file()}
    files = _write(recipe, runs, results)
    jobs = [(run,) for run in left.values()]
    for _ in run_jobs(finish, jobs, processes, torch.set_num_threads, (recipe.base.threads,)):
        files = _write(recipe, runs, results)
    return files


def finish(run: Run) -> None:
    """Train, or go on, and leave the model and held-out numbers of the checkpoint that held-out crops liked best."""

    def tell(line: str) -> None:
        print(f"{run.title}: {line}", file=sys.stderr, flush=True)

    material = read_material(run.recipe, None, tell)
    trained = train_alignvar(run.recipe, run.folder, photos=material.photos, on_line=tell)
    judged, loaded = material.judged, load(trained.folder)
    per_photo = run.recipe.crops_per_photo
    last = last_whole_checkpoint(run.folder / CHECKPOINTS)
    found = {
        "recipe": run.recipe.model_dump(mode="json"),
        "minutes": 0.0 if last is None else round(minutes_of(read_state(last)["log_history"]), 1),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "ours": measure_model(loaded.model, loaded.tokeniser, judged, per_photo),
        "beside": measure_beside(loaded.tokeniser, judged, per_photo),
        "diagnosed": diagnosed(loaded.model, loaded.tokeniser, judged, per_photo),
    }
    run.result.parent.mkdir(parents=True, exist_ok=True)
    write_whole(run.result, json.dumps(found) + "\n")
    shutil.rmtree(run.folder / CHECKPOINTS)  # of dozens of runs, gigabytes that nothing goes on from


def measure_model(model: AlignVar, tokeniser: Tokeniser, judged: Judged, per_photo: int) -> Measured:
    """`PRESET/ce`, `PRESET/hcc` and `PRESET/DECODING/MEASURE` -> a number per held-out photo.

    Losses without token noise and the same for every row; tiles as decoded, without the colour fix and back-projection
    that `upscale` ends with and that hide most of what is compared.
    """
    decodings: tuple[Decoding, ...] = tuple(dict.fromkeys((GREEDY, model.config.decode)))
    found: Measured = {}
    for preset, lrs in judged.lr.items():
        for lr, hr in zip(torch.split(lrs, per_photo), torch.split(judged.hr, per_photo), strict=True):
            with torch.no_grad():
                loss = training_loss(model, tokeniser, lr, hr.float() / 255, JUDGED_BY)
            _keep(found, preset, {"ce": loss.ce.item(), "hcc": loss.hcc.item()})
            for decode in decodings:
                _keep(found, f"{preset}/{decode}", _numbers(upscale_tiles(model, tokeniser, lr, decode), hr))
    return found


def measure_beside(tokeniser: Tokeniser, judged: Judged, per_photo: int) -> dict[str, Measured]:
    """Photos through true codes, and enlarged: `PRESET/MEASURE` -> a number per held-out photo."""
    found: dict[str, Measured] = {CEILING: {}, BICUBIC: {}}
    for preset, lrs in judged.lr.items():
        for lr, hr in zip(torch.split(lrs, per_photo), torch.split(judged.hr, per_photo), strict=True):
            _keep(found[CEILING], preset, _numbers(reconstruct(tokeniser, hr, lr), hr))
            _keep(found[BICUBIC], preset, _numbers(enlarge(lr), hr))
    return found


def _numbers(restored: Tensor, hr: Tensor) -> dict[str, float]:
    near = measure(restored, hr)
    return {name: getattr(near, name) for name in MEASURES}


def _keep(found: Measured, where: str, numbers: dict[str, float]) -> None:
    for name, value in numbers.items():
        found.setdefault(f"{where}/{name}", []).append(round(value, 6))


def _write(recipe: AblationRecipe, runs: dict[tuple[str, int], Run], results: Path) -> list[Path]:
    done = {row: [run.result for (of, _), run in runs.items() if of == row] for row in recipe.rows}
    read = {row: [json.loads(f.read_bytes()) if f.is_file() else None for f in files] for row, files in done.items()}
    presets, default = list(recipe.base.degradation), recipe.base.model.decode
    written = []
    for name, stored in tables(read, list(recipe.seeds), presets, default, reference=FULL).items():
        results.mkdir(parents=True, exist_ok=True)
        content = {**stored, "recipe": recipe.model_dump(mode="json")}
        write_whole(results / f"{name}.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        written.append(results / f"{name}.json")
    return written


def stored(recipe: AblationRecipe, row: str, seed: int, results: Path) -> dict[str, Any]:
    """What a finished run left. Raises UserError where it is not finished or there is no such row or seed."""
    if row not in recipe.rows or seed not in recipe.seeds:
        rows, seeds = ", ".join(recipe.rows), ", ".join(map(str, recipe.seeds))
        raise UserError(f"no run of {row!r} with seed {seed}: rows are {rows}, seeds {seeds}")
    file = run_of(recipe, row, seed, Path(), results).result
    if not file.is_file():
        raise UserError(f"{row!r} with seed {seed} is not finished: {file} is not there")
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: the recipe, the folder of its runs, where the tables go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, help="folder of numbers and tables; that of the runs by default")
    parser.add_argument("--tokeniser", type=Path, help="instead of the recipe's")
    parser.add_argument("--processes", type=int, default=2, help="runs side by side, default: %(default)s")
    options = parser.parse_args(arguments)
    recipe = read_recipe(options.recipe, AblationRecipe, EXAMPLE)
    if options.tokeniser is not None:
        base = recipe.base.model_copy(update={"tokeniser": options.tokeniser})
        recipe = recipe.model_copy(update={"base": base})
    load_tokeniser(recipe.base.tokeniser)  # what is wrong with it is said before processes start
    for file in run_ablation(recipe, options.out, options.results or options.out, options.processes):
        print(file)


if __name__ == "__main__":
    main()
