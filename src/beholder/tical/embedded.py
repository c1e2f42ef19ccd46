"""Models of `beholder emotion` that come with the package, by name. Imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beholder.errors import UserError

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"
CARD = "card.json"


@dataclass(frozen=True)
class Row:
    """A model that is known by name."""

    name: str
    folder: Path
    summary: str
    """One line for a list."""


EMBEDDED = (
    Row(
        name="tical-mini",
        folder=WEIGHTS / "tical-mini",
        summary="Emotion of voice, face and text, and whether they agree; learned from constructed pairs.",
    ),
)

DEFAULT = "tical-mini"


def resolve(model: str | Path) -> Path:
    """The folder of a model's name, or the folder itself. A name wins (write `./name` for a folder called the same).

    Raises UserError where there is neither.
    """
    known = {row.name: row.folder for row in EMBEDDED}
    folder = known.get(str(model), Path(model))
    if not folder.is_dir():
        raise UserError(f"no model {str(model)!r}: neither a folder nor one of {', '.join(known)}")
    return folder


def read_card(folder: Path) -> dict[str, Any] | None:
    """What `beholder emotion fit` wrote beside a model; None for a folder of another engine."""
    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and card.get("engine") == "tical" else None
