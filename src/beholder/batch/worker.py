"""What runs inside one worker process: open pictures, score them, answer with scores. Pixels never leave it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Protocol

from beholder.errors import UserError
from beholder.scoring.engines import Checkpoint
from beholder.scoring.model import score_pictures
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

    checkpoint: Checkpoint
    tasks: tuple[Task, ...]
    max_pixels: int
    """A larger picture is refused before decoding."""


def work(pipe: Connection, stage: Stage, job: Job) -> None:
    """Answer each list of paths with `(device, scores)` until the pipe closes; a `UserError` is sent as it is.

    Any other exception is a bug: its traceback goes to stderr and the process ends with exit code 1.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent ends us
    warnings.filterwarnings("ignore", module="PIL")  # about damaged metadata, without a file name; rows have notes
    mute_native_code()
    Thread(target=end_with_parent, daemon=True).start()
    try:
        _answer(pipe, stage, job)
    except UserError as error:
        pipe.send(error)


def _answer(pipe: Connection, stage: Stage, job: Job) -> None:
    def on_stage(number: int) -> None:
        stage.value = number

    scorer = job.checkpoint.open()
    while True:
        stage.value = IDLE
        try:
            paths = pipe.recv()
        except EOFError:
            return
        scores = score_pictures(paths, scorer, job.tasks, max_pixels=job.max_pixels, on_stage=on_stage)
        stage.value = IDLE
        pipe.send((scorer.device, scores))


def mute_native_code() -> None:
    """Send what libraries in C write to stderr to nowhere; what Python writes there, tracebacks too, still arrives.

    libtiff tells of damaged files in lines of its own, without their name. Rows have a reason, and the log of a server
    is made of JSON alone.
    """
    loud, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(loud, "w", encoding="utf-8", errors="backslashreplace", buffering=1)


def end_with_parent() -> None:
    """End this process when its parent is gone, however it went: a killed run must leave nothing behind."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
