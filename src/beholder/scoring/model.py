"""The Python door: a model, its card, and `score`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal, get_args, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.errors import UserError
from beholder.imaging.open import DEFAULT_MAX_PIXELS, Picture, open_image
from beholder.imaging.status import ImageError
from beholder.scoring.asked import Asked
from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.scoring.scorer import Scorer, Verdict, Verdicts
from beholder.scoring.table import DEFAULT, resolve
from beholder.task import TASKS, Task

Source = str | Path | Image.Image | NDArray[np.uint8]
"""One picture: a path, a PIL image, or an array as `beholder.imaging.open.open_image` takes it."""

TaskChoice = Literal["quality", "aesthetics", "both"]

AT_ONCE = 8
"""Pictures of a list that are judged together."""


def load(
    model: str | Path = DEFAULT,
    *,
    threads: int | None = None,
    explain: bool = False,
    levels: bool = False,
    allow_prompt_mismatch: bool = False,
) -> Model:
    """A model by name, from a checkpoint folder, or `tatar:FOLDER`, ready to score.

    `threads` are those of the CPU; if not given, 1 for a small model and as many as torch takes for a large one.
    `explain` asks for a reason in words with each score, `levels` has a model that names a number weigh level words
    instead, `allow_prompt_mismatch` lets a model be asked with other prompts than those it was trained with. Raises
    UserError (a ValueError) for an unknown name, a damaged folder, or what the model does not have.
    """
    return Model(resolve(model, Asked(explain, levels, allow_prompt_mismatch)).open(threads))


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
        `error` set, so that the answer is always as long as the list. For whole folders and files of results see
        `beholder.score`. Raises UserError for a task that the model has no head for.
        """
        tasks = tasks_of(self.card, task)
        if isinstance(source, str | os.PathLike | Image.Image | np.ndarray):
            [score] = score_pictures([source], self.scorer, tasks)
            if score.status != "ok":
                raise ImageError(score.status, score.error or "")
            return score
        scores: list[Score] = []
        sources = iter(source)
        while some := list(islice(sources, AT_ONCE)):
            scores += score_pictures(some, self.scorer, tasks)
        return scores

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


def score_pictures(
    sources: Sequence[Source],
    scorer: Scorer,
    tasks: Sequence[Task],
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    on_stage: Callable[[int], None] = lambda stage: None,
) -> list[Score]:
    """Open pictures, judge those that can be opened together, and give a score for each, in order.

    One that can't be opened becomes a score with its `status` and `error`. `on_stage` is told what is going on: `i`
    before picture `i` is opened, `-n` before `n` opened pictures are judged.
    """
    scores: dict[int, Score] = {}
    pictures: dict[int, Picture] = {}
    for i, source in enumerate(sources):
        on_stage(i)
        try:
            pictures[i] = open_image(source, fit=scorer.fit, max_pixels=max_pixels)
        except ImageError as error:
            scores[i] = Score(path=path_of(source), status=error.status, error=str(error))
    if pictures:
        on_stage(-len(pictures))
        found = scorer.infer([picture.rgb for picture in pictures.values()], tasks)
        for (i, picture), verdicts in zip(pictures.items(), found, strict=True):
            scores[i] = score_of(verdicts, picture, path_of(sources[i]))
    return [scores[i] for i in range(len(sources))]


def score_of(verdicts: Verdicts, picture: Picture, path: str | None) -> Score:
    """A picture's verdicts as one score. A task that is missing stays None.

    Where an answer is no score the status is `unparsed`; what the model said of the other task is kept.
    """
    nothing = Verdict(None)
    quality, aesthetics = (verdicts.get(task, nothing) for task in TASKS)
    failures = [f"{task}: {verdict.failure}" for task, verdict in verdicts.items() if verdict.failure is not None]
    return Score(
        quality=quality.score,
        aesthetics=aesthetics.score,
        quality_levels=quality.levels,
        aesthetics_levels=aesthetics.levels,
        quality_reason=quality.reason,
        aesthetics_reason=aesthetics.reason,
        path=path,
        width=picture.width,
        height=picture.height,
        status="unparsed" if failures else "ok",
        error="; ".join(failures) or None,
        note=picture.note,
    )
