"""`beholder train tatar-sft` and `tatar-grpo`: rationales and scores in, a model that scores with reasons out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer
import yaml
from pydantic import ValidationError
from rich.console import Console

from beholder.errors import UserError
from beholder.tatar.config import RunConfig, SftRecipe

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, e.g. recipes/tatar/sft-tiny.yaml.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run; a stopped run in it goes on.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, estimate memory and time; train nothing.")]
Gpus = Annotated[int | None, typer.Option(min=1, help="With --dry-run: estimate for so many. Default: 1.")]

AnyRecipe = TypeVar("AnyRecipe", bound=RunConfig)


def tatar_sft(recipe_file: RecipeFile, out: Out = None, dry_run: DryRun = False, gpus: Gpus = None) -> None:
    """Teach a multimodal LLM to score with reasons: supervised fine-tuning on rationales and scores."""
    recipe = read_tatar_recipe(recipe_file, SftRecipe)
    try:
        from beholder.tatar.sft import train_sft
    except ModuleNotFoundError as error:
        raise _not_installed(error) from error
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
    recipe = read_tatar_recipe(recipe_file, GrpoRecipe)
    console = Console(highlight=False, markup=False, stderr=True)
    if _is_dry(dry_run, gpus):
        from beholder.tatar.dry_run import dry_run_grpo

        for line in dry_run_grpo(recipe, gpus or 1):
            console.print(line, soft_wrap=True)
        return
    folder = train_grpo(recipe, out or Path("runs/tatar") / recipe.name, on_ready=console.print)
    console.print(f"The model is in {folder}. Use it: beholder score PICTURES --model tatar:{folder}", soft_wrap=True)


def read_tatar_recipe(file: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """A checked recipe. Raises UserError naming the field that is wrong."""
    if not file.is_file():
        raise UserError(f"{file} is not a file; recipes are in recipes/tatar/")
    try:
        return kind.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        errors = error.errors()
        first = next((found for found in errors if found["type"] != "string_type"), errors[0])  # of a name or sizes
        where = ".".join(str(key) for key in first["loc"]) or "the recipe"
        raise UserError(f"{file}: {where}: {first['msg']} (it is {str(first['input'])[:80]!r})") from None


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
