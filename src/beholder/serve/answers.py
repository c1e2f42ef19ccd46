"""The JSON that goes out. These classes are also the documentation of the API, at `/openapi.json`."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field

from beholder.imaging.status import Status
from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.task import TASKS, Task


class PictureAnswer(BaseModel):
    """One picture. Where `status` is not `ok` the scores are null and `error` says why."""

    name: str | None = Field(description="As the client called it.")
    quality: float | None = Field(description="0 to 100, higher is better.")
    aesthetics: float | None = Field(description="0 to 100, higher is better.")
    quality_levels: tuple[float, ...] | None = Field(description="Probability of bad, poor, fair, good, perfect.")
    aesthetics_levels: tuple[float, ...] | None = Field(description="Probability of bad, poor, fair, good, perfect.")
    quality_reason: str | None = Field(description="The model's words, if it gives any.")
    aesthetics_reason: str | None = Field(description="The model's words, if it gives any.")
    width: int | None
    height: int | None
    status: Status
    error: str | None
    note: str | None = Field(description="What was done to a picture that is scored all the same.")

    @classmethod
    def of(cls, name: str | None, score: Score) -> Self:
        """A score under the name that the client gave; where the file lay here is left out."""
        return cls(name=name, **{field: getattr(score, field) for field in cls.model_fields if field != "name"})


class ScoreAnswer(BaseModel):
    """Scores in the order of the pictures."""

    model: str
    weights_sha256: str
    pictures: list[PictureAnswer]


class Preference(BaseModel):
    """Of the first picture over the second, in one task."""

    difference: float = Field(description="Score of the first less score of the second, -100 to 100.")
    probability: float | None = Field(
        description="That a level drawn for the first is above one drawn for the second, half of the ties counted; "
        "null where the model gives no levels."
    )


class CompareAnswer(BaseModel):
    """Two pictures. A task that either has no score of is left out of `preferences`."""

    model: str
    weights_sha256: str
    first: PictureAnswer
    second: PictureAnswer
    preferences: dict[Task, Preference]


class ModelsAnswer(BaseModel):
    """The model that this server scores with, and what its numbers mean."""

    models: list[Card]


class HealthAnswer(BaseModel):
    """A server that answers this can score."""

    status: str
    model: str
    waiting: int = Field(description="Pictures in the queue.")


class Problem(BaseModel):
    """Why a request was refused, and what to try."""

    detail: str


def preferences(first: Score, second: Score) -> dict[Task, Preference]:
    """How far the first is ahead, for each task that both have a score of."""
    found: dict[Task, Preference] = {}
    for task in TASKS:
        a, b = first.of(task), second.of(task)
        if a is not None and b is not None:
            levels = (getattr(first, f"{task}_levels"), getattr(second, f"{task}_levels"))
            found[task] = Preference(difference=a - b, probability=None if None in levels else _above(*levels))
    return found


def _above(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Probability that a level drawn from `first` is above one drawn from `second`, ties counted half.

    >>> round(_above((0, 0, 0, 0.5, 0.5), (0, 0, 0, 1, 0)), 3)
    0.75
    """
    total = 0.0
    for i, share in enumerate(first):
        total += share * (sum(second[:i]) + 0.5 * second[i])
    return total
