"""`beholder train uniqa`: pre-training, adapters, few labels, the study; the recipe's `kind` says which."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beholder.training.recipe import read_recipe
from beholder.uniqa.config import (
    RECIPE,
    AdaptRecipe,
    FewLabelRecipe,
    PretrainRecipe,
    StudyRecipe,
)
from beholder.uniqa.dry_run import Estimate, check_texts, dry_run_labels, dry_run_pretrain, dry_run_study
from beholder.uniqa.pretrain import pretrain
from beholder.uniqa.protocol import SUMMARY_FILE, Summary, run_adapt, run_few_label
from beholder.uniqa.study import run_study
from beholder.uniqa.study_tables import write_tables

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, e.g. recipes/uniqa/pretrain-nano.yaml.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run; a stopped run in it goes on.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check data, shapes, memory and time; train nothing.")]


def uniqa(recipe_file: RecipeFile, out: Out = None, dry_run: DryRun = False) -> None:
    """Train or study UniQA: pre-training, adapters, few labels; the recipe's `kind` says which."""
    recipe = read_recipe(recipe_file, RECIPE, "recipes/uniqa/pretrain-nano.yaml")
    console = Console(highlight=False, markup=False, stderr=True)
    if dry_run:
        for line in _estimate(recipe).lines:
            console.print(line, soft_wrap=True)
        return
    out = out or Path("runs/uniqa") / recipe.name
    if isinstance(recipe, PretrainRecipe):
        unified = check_texts(recipe)
        console.print(f"{len(unified)} pictures; {unified.refused}", soft_wrap=True)
        pretrain(recipe, unified, out)
        console.print(f"The model is in {out / 'model'}. Next: an adapter recipe with model: {out / 'model'}")
    elif isinstance(recipe, StudyRecipe):
        rows = run_study(recipe, out, on_done=console.print)
        for file in write_tables(rows, out / "tables"):
            console.print(f"table: {file}")
    else:
        summary = run_adapt(recipe, out) if isinstance(recipe, AdaptRecipe) else run_few_label(recipe, out)
        _show(summary, console)
        console.print(f"All numbers are in {out / SUMMARY_FILE}")


def _show(summary: Summary, console: Console) -> None:
    for line in summary.lines:
        console.print(
            f"{line.setting}: SRCC {line.srcc.median:.3f} [{line.srcc.low:.3f}, {line.srcc.high:.3f}], "
            f"PLCC {line.plcc.median:.3f}, {line.n_test} pictures, {len(line.srcc.values)} runs"
        )


def _estimate(recipe: PretrainRecipe | AdaptRecipe | FewLabelRecipe | StudyRecipe) -> Estimate:
    if isinstance(recipe, PretrainRecipe):
        return dry_run_pretrain(recipe)
    return dry_run_study(recipe) if isinstance(recipe, StudyRecipe) else dry_run_labels(recipe)
