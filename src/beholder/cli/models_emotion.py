"""What `beholder models` says of a model of `beholder emotion`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table


def print_emotion_card(console: Console, card: dict[str, Any], folder: Path) -> None:
    """Print a card for a person, most important first."""
    for title, key in (("What it tells", "description"), ("What it reads", "reads"), ("Training", "training")):
        _section(console, title, card.get(key))
    if measured := card.get("measured"):
        shown = Table(box=None, padding=(0, 2, 0, 2))
        for column in ("measured", "value", "95 % interval", "largest class"):
            shown.add_column(column, justify="left" if column == "measured" else "right")
        for one in measured:
            low, high = one["value"] - one["half_interval"], one["value"] + one["half_interval"]
            shown.add_row(one["what"], f"{one['value']:.3f}", f"{low:.3f} to {high:.3f}", f"{one['largest_class']:.3f}")
        console.print("Measured accuracy", shown, "", sep="\n")
        _section(console, "How it was measured", card.get("measured_how"))
    else:
        _section(console, "Measured accuracy", "None in the card: see beholder emotion evaluate.")
    _section(console, "Limits", card.get("limits"), *card.get("caveats", []))
    data = [f"{one['name']}: {one['licence']}" for one in card.get("data", [])]
    _section(console, "Licences", "code: Apache-2.0", card.get("weights_licence"), *data)
    _section(console, "File", str(folder), f"{size_mb(folder):.1f} MB", f"sha256 {card.get('weights_sha256')}")


def size_mb(folder: Path) -> float:
    """Of all files of a model."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1e6


def _section(console: Console, title: str, *lines: str | None) -> None:
    if known := [line for line in lines if line]:
        console.print(title)
        for line in known:
            console.print(Padding(line, (0, 0, 0, 2)))
        console.print()
