"""`beholder train`: a recipe in, a checkpoint folder out, with its accuracy on pictures it has not seen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from beholder.cli.train_alignvar import alignvar, alignvar_decoder, alignvar_tokenizer
from beholder.cli.train_tatar import tatar_grpo, tatar_sft
from beholder.cli.train_uniqa import uniqa
from beholder.data.columns import Split
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.evaluate.result import Result
from beholder.evaluate.run import evaluate
from beholder.mini.baseline import predict_baseline
from beholder.mini.checkpoint import write_checkpoint
from beholder.mini.config import Recipe
from beholder.mini.train import train_mini
from beholder.scoring.card import CARD_FILE, Measured
from beholder.task import Task
from beholder.training.recipe import read_recipe

MEASURED = ("srcc", "plcc_raw")

app = typer.Typer()
app.command("uniqa")(uniqa)
app.command("tatar-sft")(tatar_sft)
app.command("tatar-grpo")(tatar_grpo)
app.command("alignvar-tokenizer")(alignvar_tokenizer)
app.command("alignvar")(alignvar)
app.command("alignvar-decoder")(alignvar_decoder)

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, e.g. recipes/mini/cpu.yaml.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder of the run; a stopped run in it goes on.")]


@app.command("mini")
def mini(
    recipe_file: RecipeFile,
    out: Out = Path("runs/mini"),
    report_split: Annotated[str, typer.Option(help="Split that is measured at the end: never seen before.")] = "test",
) -> None:
    """Train the small model, export it to OUT/model, and measure it."""
    recipe = read_recipe(recipe_file, Recipe, "recipes/mini/cpu.yaml")
    split = _unseen(recipe, report_split)
    manifests = read_manifests(recipe)
    console = Console(highlight=False, markup=False, stderr=True)
    model = train_mini(recipe, manifests, out)
    folder = out / "model"
    card = write_checkpoint(model, recipe, manifests, folder)
    measured = []
    for task, manifest in manifests.items():
        result = evaluate(folder, manifest, out=out / "results" / task, by=_part_column(manifest), split=split)
        measured += [_measured(result, metric) for metric in MEASURED]
        console.print(f"{task}: SRCC {_interval(result, 'srcc')} on {result.n_scored} of {result.n_total} pictures")
    card.model_copy(update={"measured": tuple(measured)}).write(folder / CARD_FILE)
    console.print(f"\nThe model is in {folder}. Use it: beholder score PICTURES --model {folder}", soft_wrap=True)


@app.command("baseline")
def baseline(recipe_file: RecipeFile, out: Out = Path("runs/baseline"), workers: int = 2) -> None:
    """Train the statistical baseline on the same splits; writes predictions for every picture of each manifest."""
    recipe = read_recipe(recipe_file, Recipe, "recipes/mini/cpu.yaml")
    console = Console(highlight=False, markup=False, stderr=True)
    for task, manifest in read_manifests(recipe).items():
        file = predict_baseline(manifest, recipe.data.train_splits, out / f"statistics-{task}.parquet", workers)
        console.print(
            f"{task}: predictions in {file}. Measure them: beholder evaluate {file} MANIFEST --split test",
            soft_wrap=True,
        )


def read_manifests(recipe: Recipe) -> dict[Task, Manifest]:
    """Both manifests of a recipe. Raises UserError if one is of the wrong task."""
    found: dict[Task, Manifest] = {}
    places: tuple[tuple[Task, Path], ...] = (("quality", recipe.data.quality), ("aesthetics", recipe.data.aesthetics))
    for task, path in places:
        manifest = read_manifest(path)
        if manifest.task != task:
            raise UserError(
                f"data.{task} of the recipe is {path}, whose task is {manifest.task!r}; it must be {task!r}"
            )
        found[task] = manifest
    return found


def _unseen(recipe: Recipe, split: str) -> Split:
    used = {*recipe.data.train_splits}
    allowed: tuple[Split, ...] = tuple(s for s in ("train", "val", "test") if s not in used)  # type: ignore[misc]
    for name in allowed:
        if name == split:
            return name
    raise UserError(f"--report-split {split}: the recipe learns on {', '.join(sorted(used))}; try {allowed}")


def _part_column(manifest: Manifest) -> Literal["subset"] | None:
    return "subset" if "subset" in manifest.table.column_names else None


def _measured(result: Result, metric: str) -> Measured:
    found = result.metrics[metric]
    if found.value is None or found.low is None or found.high is None:
        raise UserError(f"{metric} of {result.model} on {result.manifest}:{result.split}: {found.problem}")
    data = f"{result.manifest}:{result.split}"
    return Measured(
        data=data, task=result.task, metric=metric, value=found.value, low=found.low, high=found.high, n=result.n_scored
    )


def _interval(result: Result, metric: str) -> str:
    found = _measured(result, metric)
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
