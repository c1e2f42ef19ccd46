"""The card beside every model: what its numbers mean, what it was trained on, how good it is."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from beholder.task import Task


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
    level_values: tuple[float, float, float, float, float]
    """Score in [0, 100] of bad, poor, fair, good, perfect; the score is their mean under the level probabilities."""
    native_range: tuple[float, float]
    """Range of the ratings it was trained on."""
    trained_on: tuple[str, ...]


class Card(BaseModel):
    """`card.json`: read beside the weights, printed by `beholder models show`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    engine: str
    description: str
    version: str
    tasks: dict[Task, TaskCard]
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
    weights_file: str
    """File name of the weights, beside the card."""
    weights_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @classmethod
    def read(cls, path: Path) -> Card:
        """Read a card; raises `FileNotFoundError`, or pydantic's `ValidationError` naming the wrong field."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))
