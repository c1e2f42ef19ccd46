"""`beholder train alignvar-tokenizer` and `beholder train alignvar`: super-resolution from photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer
import yaml
from pydantic import BaseModel, ValidationError
from rich.console import Console

from beholder.alignvar.recipe import AlignVarRecipe, TokeniserRecipe
from beholder.alignvar.train import NUMBERS_FILE, train_alignvar
from beholder.alignvar.train_tokeniser import GATE_FILE, train_tokeniser
from beholder.errors import UserError

_R = TypeVar("_R", bound=BaseModel)

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, e.g. recipes/alignvar/nano.yaml.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run; a stopped run in it goes on.")]
MaxMinutes = Annotated[
    float | None, typer.Option(min=0.01, help="Finish in this time, over all starts: the schedule ends with it.")
]


def alignvar_tokenizer(recipe_file: RecipeFile, out: Out = None, max_minutes: MaxMinutes = None) -> int:
    """Train the tokeniser: photos as maps of codes and back. Exit code 2 where its gate is not passed."""
    recipe = read_alignvar_recipe(recipe_file, TokeniserRecipe)
    console = Console(highlight=False, markup=False, stderr=True)
    folder = out or Path("runs/alignvar") / recipe.name
    gate = train_tokeniser(recipe, folder, max_minutes=max_minutes, on_line=lambda line: _say(console, line))
    _say(console, str(gate))
    _say(console, f"The tokeniser is in {folder / 'model'}, the numbers in {folder / GATE_FILE}.")
    if gate.passed:
        _say(console, f"Next: beholder train alignvar RECIPE, with tokeniser: {folder / 'model'}")
    return 0 if gate.passed else 2


def alignvar(recipe_file: RecipeFile, out: Out = None, max_minutes: MaxMinutes = None) -> None:
    """Train the transformer on a frozen tokeniser."""
    recipe = read_alignvar_recipe(recipe_file, AlignVarRecipe)
    console = Console(highlight=False, markup=False, stderr=True)
    folder = out or Path("runs/alignvar") / recipe.name
    trained = train_alignvar(recipe, folder, max_minutes=max_minutes, on_line=lambda line: _say(console, line))
    for preset, row in trained.held_out.items():
        for name, numbers in row.items():
            _say(console, f"{preset}, {name}: {numbers}")
    _say(console, f"The model is in {trained.folder}, the numbers in {folder / NUMBERS_FILE}.")


def read_alignvar_recipe(file: Path, kind: type[_R]) -> _R:
    """A checked recipe. Raises UserError naming the field that is wrong."""
    if not file.is_file():
        raise UserError(f"{file} is not a file; recipes are in recipes/alignvar/, e.g. recipes/alignvar/nano.yaml")
    try:
        return kind.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(key) for key in first["loc"]) or "the recipe"
        raise UserError(f"{file}: {where}: {first['msg']} (it is {str(first['input'])[:80]!r})") from None


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)
