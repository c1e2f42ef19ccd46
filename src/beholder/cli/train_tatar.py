"""`beholder train tatar-sft` and `tatar-grpo`: rationales and scores in, a model that scores with reasons out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beholder.errors import UserError
from beholder.tatar.config import SftRecipe
from beholder.training.recipe import read_recipe

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, e.g. recipes/tatar/sft-tiny.yaml.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run; a stopped run in it goes on.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, estimate memory and time; train nothing.")]
Gpus = Annotated[int | None, typer.Option(min=1, help="With --dry-run: estimate for so many. Default: 1.")]


def tatar_sft(recipe_file: RecipeFile, out: Out = None, dry_run: DryRun = False, gpus: Gpus = None) -> None:
    """Teach a multimodal LLM to score with reasons: supervised fine-tuning on rationales and scores."""
    recipe = read_recipe(recipe_file, SftRecipe, "recipes/tatar/sft-tiny.yaml")
    try:
        from beholder.tatar.sft import train_sft
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    _without_bars()
    console = Console(highlight=False, markup=False, stderr=True)
    if _is_dry(dry_run, gpus):
        from beholder.tatar.dry_run import dry_run_sft

        for line in dry_run_sft(recipe, gpus or 1):
            console.print(line, soft_wrap=True)
        return
    folder = train_sft(recipe, out or Path("runs/tatar") / recipe.name, on_ready=console.print)
    console.print(f"The model is in {folder}. Use it: beholder score PICTURES --model tatar:{folder}", soft_wrap=True)


def tatar_grpo(recipe_file: RecipeFile, out: Out = None, dry_run: DryRun = False, gpus: Gpus = None) -> None:
    """Let a multimodal LLM that scores with reasons learn from rewards of its own answers (GRPO)."""
    try:
        from beholder.tatar.grpo import train_grpo
        from beholder.tatar.grpo_config import GrpoRecipe
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
    recipe = read_recipe(recipe_file, GrpoRecipe, "recipes/tatar/grpo-tiny.yaml")
    _without_bars()
    console = Console(highlight=False, markup=False, stderr=True)
    if _is_dry(dry_run, gpus):
        from beholder.tatar.dry_run import dry_run_grpo

        for line in dry_run_grpo(recipe, gpus or 1):
            console.print(line, soft_wrap=True)
        return
    folder = train_grpo(recipe, out or Path("runs/tatar") / recipe.name, on_ready=console.print)
    console.print(f"The model is in {folder}. Use it: beholder score PICTURES --model tatar:{folder}", soft_wrap=True)


def _without_bars() -> None:
    """Progress bars of reading and writing weights, which would stand between the lines of a log."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _is_dry(dry_run: bool, gpus: int | None) -> bool:
    if gpus is not None and not dry_run:
        raise UserError(
            f"--gpus {gpus} goes with --dry-run; several GPUs train with `accelerate launch -m beholder ...`"
        )
    return dry_run


def _not_installed(error: ModuleNotFoundError) -> Exception:
    if (error.name or "").startswith("beholder"):
        return error
    return UserError(f"training needs {error.name}, which is not installed. Try: pip install 'beholder[tatar]'")
