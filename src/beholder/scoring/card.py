"""The card beside every model: what its numbers mean, what it was trained on, how good it is."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from beholder.errors import UserError
from beholder.scoring.asked import SCORES_ONLY, Asked
from beholder.task import Task

CARD_FILE = "card.json"


class Measured(BaseModel):
    """One measured result. Rendered from a stored `result.json`, never typed in."""

    model_config = ConfigDict(extra="forbid")

    data: str
    """Data set and split, e.g. `biq2021:test`."""
    task: Task
    metric: str
    """`srcc`, `krcc`, `plcc_raw`, `plcc_logistic4`, `rmse`."""
    value: float
    low: float
    """Lower end of the 95 % bootstrap interval."""
    high: float
    """Upper end of the 95 % bootstrap interval."""
    n: int
    """Pictures scored."""


class TaskCard(BaseModel):
    """What one head of the model answers."""

    model_config = ConfigDict(extra="forbid")

    meaning: str
    """One sentence a photographer understands."""
    level_values: tuple[float, float, float, float, float] | None = None
    """What bad, poor, fair, good, perfect are worth: the score is their mean under the level probabilities, cut to
    [0, 100]. Values that a model has learnt may lie outside, and need not rise. None where it names the number."""
    native_range: tuple[float, float]
    """Range of the ratings it was trained on."""
    trained_on: tuple[str, ...]
    """Data sets and splits, e.g. `biq2021:train`."""

    @model_validator(mode="after")
    def _levels_tell_apart(self) -> Self:
        values = self.level_values
        if values is not None and (not all(map(isfinite, values)) or len(set(values)) == 1):
            raise ValueError(f"level_values = {values}; they must be finite numbers, and not all the same")
        return self


class Card(BaseModel):
    """`card.json`: read beside the weights, printed by `beholder models show`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    engine: str
    description: str
    version: str
    tasks: dict[Task, TaskCard] = Field(min_length=1)
    preprocess: str
    """What is done to a picture before the model sees it, in words; goes into every row."""
    fit_area: int = Field(gt=0)
    """`Fit.area` in pixels."""
    training: str
    """How it was trained, in a few sentences."""
    data_licence: str
    weights_licence: str
    manifest_sha256: dict[str, str]
    """Training manifest name to its sha256."""
    measured: tuple[Measured, ...] = ()
    limits: tuple[str, ...] = ()
    """What it does badly."""
    weights_file: str = Field(pattern=r"^[^/\\]+$")
    """File name of the weights, beside the card; a glob pattern where an engine has several files of them."""
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card. Raises UserError if the file is missing, or naming the first field that is wrong."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise UserError(f"{str(path.parent)!r} is not a model: it has no {path.name}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise UserError(f"{str(path)!r} is not a valid model card: {where}: {first['msg']}") from None

    def write(self, path: Path) -> None:
        """Write the card as JSON that a person can read; `Card.read` gives back an equal card."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_card(folder: Path, asked: Asked) -> Card:
    """The card of a folder with one ONNX file. Raises `UserError` as `Card.read`, and for anything that is `asked`."""
    card = Card.read(folder / CARD_FILE)
    if asked != SCORES_ONLY:
        raise UserError(
            f"model {card.name!r} gives scores without reasons and is asked with no prompt, so --explain, "
            "--levels and --allow-prompt-mismatch are not for it. Try --model tatar:FOLDER, a model that reasons"
        )
    return card
