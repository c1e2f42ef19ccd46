"""The Python door: a model, its card, and `score`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.errors import UserError
from beholder.imaging.open import Picture, open_image
from beholder.imaging.status import ImageError
from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.scoring.scorer import Levels, Scorer
from beholder.scoring.table import DEFAULT, resolve
from beholder.task import Task

Source = str | Path | Image.Image | NDArray[np.uint8]
"""One picture: a path, a PIL image, or an array as `beholder.imaging.open.open_image` takes it."""

TaskChoice = Literal["quality", "aesthetics", "both"]


def load(model: str | Path = DEFAULT, *, threads: int = 1) -> Model:
    """A model by name or from a checkpoint folder, ready to score on `threads` CPU threads.

    Raises UserError (a ValueError) for an unknown name or a damaged folder.
    """
    from beholder.scoring.onnx import OnnxScorer  # `beholder score` reads this module without running a model itself

    return Model(OnnxScorer.from_folder(resolve(model), threads=threads))


@dataclass(frozen=True, repr=False)
class Model:
    """A scoring model. Scores run from 0 to 100, higher is better; the same picture always gets the same score."""

    scorer: Scorer

    @property
    def card(self) -> Card:
        """What the numbers mean, what the model was trained on, and how accurate it was measured to be."""
        return self.scorer.card

    @overload  # a str is also an iterable of str; at run time the first signature wins, as in the overloads
    def score(self, source: Source, *, task: TaskChoice = "both") -> Score: ...  # type: ignore[overload-overlap]

    @overload
    def score(self, source: Iterable[Source], *, task: TaskChoice = "both") -> list[Score]: ...

    def score(self, source: Source | Iterable[Source], *, task: TaskChoice = "both") -> Score | list[Score]:
        """Score one picture, or each of several in order.

        A single picture that can't be scored raises ImageError. In a list it becomes a Score with `status` and
        `error` set and no numbers, so that the answer is always as long as the list. For whole folders and files of
        results see `beholder.score`. Raises UserError for a task that the model has no head for.
        """
        tasks = tasks_of(self.card, task)
        if isinstance(source, str | os.PathLike | Image.Image | np.ndarray):
            return self._score_one(source, tasks)
        return [self._score_or_reason(each, tasks) for each in source]

    def _score_one(self, source: Source, tasks: tuple[Task, ...]) -> Score:
        picture = open_image(source, fit=self.scorer.fit)
        [levels] = self.scorer.infer([picture.rgb])
        return score_of({task: levels[task] for task in tasks}, self.card, picture, path_of(source))

    def _score_or_reason(self, source: Source, tasks: tuple[Task, ...]) -> Score:
        try:
            return self._score_one(source, tasks)
        except ImageError as error:
            return Score(path=path_of(source), status=error.status, error=str(error))

    def __repr__(self) -> str:
        heads = ", ".join(self.card.tasks)
        return f"<beholder model {self.card.name!r} {self.card.version}: {heads}, 0-100, on {self.scorer.device}>"


def path_of(source: Source) -> str | None:
    """Where a picture came from, as text; None for one given as pixels."""
    return os.fspath(source) if isinstance(source, str | os.PathLike) else None


def tasks_of(card: Card, choice: TaskChoice) -> tuple[Task, ...]:
    """The tasks that a choice asks of a model; `both` means every head it has. UserError where it has no such head."""
    heads = tuple(card.tasks)
    if choice not in get_args(TaskChoice):
        raise UserError(f"task = {choice!r}; allowed: {', '.join(get_args(TaskChoice))}")
    if choice == "both":
        return heads
    if choice not in heads:
        raise UserError(f"model {card.name!r} has no score for {choice}; it scores {', '.join(heads)}")
    return (choice,)


def score_of(levels: Levels, card: Card, picture: Picture, path: str | None) -> Score:
    """Level probabilities as scores from 0 to 100: their mean under the card's `level_values`, in float64.

    A task that is missing from `levels` stays None.
    """

    def expected(task: Task) -> float | None:
        if task not in levels:
            return None
        mean = np.dot(levels[task].astype(np.float64), card.tasks[task].level_values)
        return float(np.clip(mean, 0.0, 100.0))  # float32 probabilities can sum to a hair above 1

    def probabilities(task: Task) -> tuple[float, ...] | None:
        return tuple(levels[task].tolist()) if task in levels else None

    return Score(
        quality=expected("quality"),
        aesthetics=expected("aesthetics"),
        quality_levels=probabilities("quality"),
        aesthetics_levels=probabilities("aesthetics"),
        path=path,
        width=picture.width,
        height=picture.height,
        note=picture.note,
    )
