"""`beholder models`: what the models are, what their numbers mean, and how far to trust them."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from beholder.cli.models_emotion import print_emotion_card, size_mb
from beholder.scoring.card import CARD_FILE, Card, TaskCard
from beholder.scoring.table import DEFAULT, MODELS, resolve
from beholder.task import LEVELS
from beholder.tical.embedded import EMBEDDED, read_card

CODE_LICENCE = "Apache-2.0"

app = typer.Typer()


@app.command("list")
def list_models() -> None:
    """List the models that come with beholder."""
    table = Table(box=None, pad_edge=False)
    for title in ("model", "scores", "size", "summary"):
        table.add_column(title, no_wrap=title != "summary")
    for row in MODELS:
        if not (row.folder / CARD_FILE).is_file():
            table.add_row(row.name, "", "missing", row.summary)
            continue
        card = Card.read(row.folder / CARD_FILE)
        table.add_row(row.name, ", ".join(card.tasks), _size(row.folder, card), row.summary)
    for emotion in EMBEDDED:
        size = f"{size_mb(emotion.folder):.1f} MB" if read_card(emotion.folder) is not None else "missing"
        table.add_row(emotion.name, "emotion", size, emotion.summary)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\nMore about one: beholder models show {DEFAULT}", soft_wrap=True)


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(metavar="NAME_OR_FOLDER", help="A model's name or its folder.")] = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="The whole card as JSON, for programs.")] = False,
) -> None:
    """Show what a model's numbers mean, what it was trained on, its measured accuracy, its limits and licences."""
    folder = {row.name: row.folder for row in EMBEDDED}.get(model, Path(model))
    if (facts := read_card(folder)) is not None:
        if as_json:
            typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        else:
            print_emotion_card(Console(highlight=False, markup=False), facts, folder)
        return
    checkpoint = resolve(model)
    card = checkpoint.card()
    if as_json:
        typer.echo(json.dumps(card.model_dump(mode="json"), indent=2))
        return
    print_card(Console(highlight=False, markup=False), card, checkpoint.folder)


def print_card(console: Console, card: Card, folder: Path) -> None:
    """Print a card for a person, most important first."""
    _section(console, f"{card.name} {card.version} ({card.engine})", card.description)
    _section(console, "What the numbers mean", "Every score runs from 0 to 100, higher is better.")
    for task, head in card.tasks.items():
        low, high = head.native_range
        learnt = f"Learnt from ratings of {low:g} to {high:g}: {', '.join(head.trained_on)}."
        _section(console, f"  {task}", head.meaning, learnt, _how_scored(head), indent=4)
    _section(console, "What the model sees", card.preprocess)
    _section(console, "Training", card.training)
    if card.measured:
        console.print("Measured accuracy", _accuracy(card), "", sep="\n")
    else:
        _section(console, "Measured accuracy", "None yet: test it on your own pictures before you trust it.")
    if card.limits:
        _section(console, "Limits", *card.limits)
    licences = {"code": CODE_LICENCE, "weights": card.weights_licence, "data": card.data_licence}
    _section(console, "Licences", *(f"{what + ':':<8} {licence}" for what, licence in licences.items()))
    weights = str(folder / card.weights_file)
    _section(console, "File", weights, _size(folder, card), f"sha256 {card.weights_sha256}")


def _how_scored(head: TaskCard) -> str:
    if head.level_values is None:
        return "The number that the model names."
    values = ", ".join(f"{word} = {value:g}" for word, value in zip(LEVELS, head.level_values, strict=True))
    return f"The mean of five levels: {values}."


def _section(console: Console, title: str, *lines: str, indent: int = 2) -> None:
    console.print(title)
    first = " " * indent
    rest = first + ("  " if len(lines) > 1 else "")
    # Words stay whole, so that paths and digests can be copied.
    wrapper = textwrap.TextWrapper(console.width, first, rest, break_long_words=False, break_on_hyphens=False)
    for line in lines:
        console.print(wrapper.fill(line), soft_wrap=True)
    console.print()


def _accuracy(card: Card) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 2))
    for title in ("data", "task", "metric"):
        table.add_column(title, no_wrap=True)
    for title in ("value", "95 % interval", "pictures"):
        table.add_column(title, justify="right", no_wrap=True)
    for result in card.measured:
        interval = f"{result.low:.3f} to {result.high:.3f}"
        table.add_row(result.data, result.task, result.metric, f"{result.value:.3f}", interval, f"{result.n}")
    return table


def _size(folder: Path, card: Card) -> str:
    n_bytes = sum(file.stat().st_size for file in folder.glob(card.weights_file))
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes else "missing"
