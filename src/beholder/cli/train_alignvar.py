"""`beholder train alignvar-tokenizer`, `alignvar` and `alignvar-decoder`: super-resolution from photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from beholder.alignvar.recipe import AlignVarRecipe, DecoderRecipe, TokeniserRecipe
from beholder.alignvar.train import NUMBERS_FILE, Trained, train_alignvar
from beholder.alignvar.train_decoder import train_decoder
from beholder.alignvar.train_tokeniser import GATE_FILE, train_tokeniser
from beholder.training.recipe import read_recipe

RecipeFile = Annotated[Path, typer.Argument(metavar="RECIPE", help="YAML file, e.g. recipes/alignvar/nano.yaml.")]
Out = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the run; a stopped run in it goes on.")]
MaxMinutes = Annotated[
    float | None, typer.Option(min=0.01, help="Finish in this time, over all starts: the schedule ends with it.")
]


def alignvar_tokenizer(recipe_file: RecipeFile, out: Out = None, max_minutes: MaxMinutes = None) -> int:
    """Train the tokeniser: photos as maps of codes and back. Exit code 2 where its gate is not passed."""
    recipe = read_recipe(recipe_file, TokeniserRecipe, "recipes/alignvar/tokeniser-nano.yaml")
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
    recipe = read_recipe(recipe_file, AlignVarRecipe, "recipes/alignvar/nano.yaml")
    console = Console(highlight=False, markup=False, stderr=True)
    folder = out or Path("runs/alignvar") / recipe.name
    trained = train_alignvar(recipe, folder, max_minutes=max_minutes, on_line=lambda line: _say(console, line))
    _say_numbers(console, trained, folder)
    _say(console, f"Next: beholder train alignvar-decoder RECIPE, with trained: {trained.folder}")


def alignvar_decoder(recipe_file: RecipeFile, out: Out = None, max_minutes: MaxMinutes = None) -> None:
    """Train the decoder on what the transformer predicts."""
    recipe = read_recipe(recipe_file, DecoderRecipe, "recipes/alignvar/decoder-nano.yaml")
    console = Console(highlight=False, markup=False, stderr=True)
    folder = out or Path("runs/alignvar") / recipe.name
    trained = train_decoder(recipe, folder, max_minutes=max_minutes, on_line=lambda line: _say(console, line))
    _say_numbers(console, trained, folder)


def _say_numbers(console: Console, trained: Trained, folder: Path) -> None:
    for preset, row in trained.held_out.items():
        for name, numbers in row.items():
            _say(console, f"{preset}, {name}: {numbers}")
    _say(console, f"The model is in {trained.folder}, the numbers in {folder / NUMBERS_FILE}.")


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)
