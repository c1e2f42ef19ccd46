"""The card of an emotion model, and the models that come with the package. Light: it is read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from beholder.errors import UserError

CARD = "card.json"
ENGINE = "tical"

_WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True)
class Row:
    """An emotion model that is known by name."""

    name: str
    folder: Path
    summary: str


EMOTION_MODELS = (
    Row(
        "tical-mini",
        _WEIGHTS / "tical-mini",
        "Emotion from a voice, a face and a text; learned from constructed pairing.",
    ),
)

DEFAULT_EMOTION_MODEL = "tical-mini"


class Measure(BaseModel):
    """One measured number. From a stored result, never typed in."""

    model_config = ConfigDict(extra="forbid")

    what: str
    value: float
    low: float
    high: float


class EmotionCard(BaseModel):
    """`card.json` of a model of `beholder emotion`; what `fit` can't know of a person's data is empty."""

    model_config = ConfigDict(extra="allow")

    engine: str = Field(pattern=f"^{ENGINE}$")
    beholder: str
    """Version that wrote it."""
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    limits: str
    name: str | None = None
    description: str = ""
    reads: dict[str, str] = {}
    """Modality to what is read of it, in words."""
    training: str = ""
    measured_how: str = ""
    measured: tuple[Measure, ...] = ()
    caveats: tuple[str, ...] = ()
    weights_licence: str = ""
    data_licences: tuple[str, ...] = ()


def model_folder(model: str | Path) -> Path:
    """The folder of a model by its name, or the folder itself; a name wins over a folder called the same.

    >>> model_folder("runs/mine")
    PosixPath('runs/mine')
    """
    known = {row.name: row.folder for row in EMOTION_MODELS}
    return known.get(str(model), Path(model))


def is_emotion_model(folder: Path) -> bool:
    """Whether a folder has a card of this engine."""
    try:
        content: Any = json.loads((folder / CARD).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("engine") == ENGINE


def read_emotion_card(folder: Path) -> EmotionCard:
    """The card in a folder. Raises UserError where there is none, or naming the first field that is wrong."""
    try:
        return EmotionCard.model_validate_json((folder / CARD).read_bytes())
    except OSError:
        raise UserError(f"{folder} is no model of beholder emotion: it has no {CARD}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{folder / CARD} is not a valid card: {where}: {first['msg']}") from None
