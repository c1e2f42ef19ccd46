"""What runs inside one worker process: open pictures, score them, answer with scores. Pixels never leave it."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import Protocol

from beholder.errors import UserError
from beholder.imaging.open import Picture, open_image
from beholder.imaging.status import ImageError
from beholder.scoring.model import score_of
from beholder.scoring.score import Score
from beholder.scoring.scorer import Scorer
from beholder.task import Task

IDLE = -(1 << 40)
"""Stage of a worker that waits for pictures; as `-n` it means that there is no time limit."""

LOADING = IDLE - 1
"""Stage of a worker that starts and loads its model."""


class Stage(Protocol):
    """One integer in memory that parent and worker share, so that the parent can tell which picture is stuck.

    `i >= 0`: opening picture `i` of the chunk. `-n`: scoring `n` opened pictures. `IDLE`, `LOADING`: neither.
    """

    value: int


@dataclass(frozen=True)
class Job:
    """What a worker has to know before the first picture."""

    folder: Path
    """Checkpoint folder."""
    tasks: tuple[Task, ...]
    max_pixels: int
    """A larger picture is refused before decoding."""


def work(pipe: Connection, stage: Stage, job: Job) -> None:
    """Answer each list of paths with `(device, scores)` until the pipe closes; a `UserError` is sent as it is.

    Any other exception is a bug: its traceback goes to stderr and the process ends with exit code 1.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent ends us
    warnings.filterwarnings("ignore", module="PIL")  # about damaged metadata, without a file name; rows have notes
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        _answer(pipe, stage, job)
    except UserError as error:
        pipe.send(error)


def _answer(pipe: Connection, stage: Stage, job: Job) -> None:
    from beholder.scoring.onnx import OnnxScorer  # here, because the parent reads this module and runs no model

    scorer = OnnxScorer.from_folder(job.folder, threads=1)
    while True:
        stage.value = IDLE
        try:
            paths = pipe.recv()
        except EOFError:
            return
        scores = score_paths(paths, scorer, job, stage)
        stage.value = IDLE
        pipe.send((scorer.device, scores))


def score_paths(paths: Sequence[str], scorer: Scorer, job: Job, stage: Stage) -> list[Score]:
    """Open and score pictures, in order; one that can't be opened becomes a score with its `status` and `error`."""
    scores: list[Score | None] = [None] * len(paths)
    pictures: dict[int, Picture] = {}
    for i, path in enumerate(paths):
        stage.value = i
        try:
            pictures[i] = open_image(path, fit=scorer.fit, max_pixels=job.max_pixels)
        except ImageError as error:
            scores[i] = Score(path=path, status=error.status, error=str(error))
    stage.value = -len(pictures) or IDLE
    answers = scorer.infer([picture.rgb for picture in pictures.values()]) if pictures else []
    for (i, picture), levels in zip(pictures.items(), answers, strict=True):
        wanted = {task: levels[task] for task in job.tasks}
        scores[i] = score_of(wanted, scorer.card, picture, paths[i])
    return [score for score in scores if score is not None]


def _end_with_parent() -> None:
    """End this process when its parent is gone, however it went: a killed run must leave nothing behind."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
