"""All models that come with beholder, on one screen. A new model is one new row."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from beholder.errors import UserError
from beholder.scoring.card import CARD_FILE

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True)
class Row:
    """A model that is known by name."""

    name: str
    folder: Path
    """Checkpoint folder: `card.json` and the weights it names."""
    summary: str
    """One line for a list."""


MODELS = (
    Row(
        name="beholder-mini",
        folder=WEIGHTS / "beholder-mini",
        summary="Quality and aesthetics in milliseconds on a CPU; comes with the package.",
    ),
)

DEFAULT = "beholder-mini"


def resolve(model: str | Path) -> Path:
    """Checkpoint folder of a model name or of a folder; a name wins over a folder called the same (write `./name`).

    Raises UserError for an unknown name, listing the known ones, and for a folder without a card.
    """
    known = {row.name: row.folder for row in MODELS}
    folder = known.get(str(model), Path(model))
    if (folder / CARD_FILE).is_file():
        return folder
    if str(model) in known:
        raise UserError(f"model {model!r} is not in this installation: {str(folder / CARD_FILE)!r} is missing")
    if folder.exists():
        raise UserError(
            f"{str(model)!r} is not a model: it has no {CARD_FILE}. A model is a folder with a {CARD_FILE} and the "
            f"weights that the card names, or one of: {', '.join(known)}."
        )
    nearest = get_close_matches(str(model), known, n=1)
    raise UserError(
        f"no model named {str(model)!r}, and no such folder. Known models: {', '.join(known)}."
        + (f" Did you mean {nearest[0]!r}?" if nearest else " Or give a folder with a card.json.")
    )
