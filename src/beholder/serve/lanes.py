"""A bounded queue of pictures, and lanes that take small batches of it: one thread and one worker process each.

A lane hands its batch to a `Crew` of one, so a server has what `beholder score` has: pixels are decoded and judged in a
process of their own, a picture that hangs is stopped at its time limit, one that kills its worker costs itself alone,
and scores are the same. A slow picture holds up its lane only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from threading import Condition, Thread

import numpy as np
from PIL import Image

from beholder.batch.worker import Job
from beholder.batch.workers import Crew
from beholder.scoring.score import Score

OnBatch = Callable[[int, float], None]
"""Told the number of pictures in a finished batch, and its seconds."""


class Busy(Exception):
    """There is no room in the queue. `retry_after_s` is a guess of when there will be, in whole seconds."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class _Waiting:
    file: Path
    answer: Future[Score]
    since_s: float


class Lanes:
    """Worker processes that score pictures as they come."""

    def __init__(
        self,
        job: Job,
        *,
        lanes: int,
        max_batch: int,
        max_wait_s: float,
        queue: int,
        timeout_s: float,
        on_batch: OnBatch = lambda n_pictures, seconds: None,
    ) -> None:
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._queue = queue
        self._on_batch = on_batch
        self._waiting: deque[_Waiting] = deque()
        self._n_idle = 0
        self._closing = False
        self._changed = Condition()
        self._seconds_each = 0.1
        """Of a picture in a lane, as of late."""
        self._new_crew = partial(Crew, job, workers=1, batch_size=max_batch, timeout_s=timeout_s)
        self._crews = [self._new_crew() for _ in range(lanes)]
        self._threads = [Thread(target=self._run, args=(lane,), daemon=True) for lane in range(lanes)]

    @property
    def n_waiting(self) -> int:
        """Pictures that no lane has taken yet."""
        return len(self._waiting)

    def start(self, folder: Path) -> None:
        """Start all workers and have each score one picture, written to `folder`, so that the first client need not
        wait for a model to load. Raises `UserError` where it can't be loaded."""
        file = folder / "first.png"
        Image.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(file)
        for crew in self._crews:
            crew.start(1)
        for crew in self._crews:
            list(crew.scores([(0, str(file))], 1))
        file.unlink()
        for thread in self._threads:
            thread.start()

    def submit(self, files: Sequence[Path]) -> list[Future[Score]]:
        """Queue all of `files` or, where there is no room for all, none: then `Busy`.

        A future that is cancelled before a lane has taken its picture frees its place.
        """
        with self._changed:
            self._forget_cancelled()
            if self._closing or len(self._waiting) + len(files) > self._queue:
                seconds = len(self._waiting) * self._seconds_each / len(self._crews)  # until all that waits is done
                raise Busy(retry_after_s=min(60, max(1, ceil(seconds))))
            now_s = time.monotonic()
            entries = [_Waiting(file, Future(), now_s) for file in files]
            self._waiting.extend(entries)
            self._changed.notify_all()
        return [entry.answer for entry in entries]

    def close(self) -> None:
        """End all workers. Who still waits for an answer gets none, so call this when nobody does."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=1)  # one in the middle of a picture that nobody wants any more is a daemon
        for crew in self._crews:
            crew.end()

    def _run(self, lane: int) -> None:
        while batch := self._take():
            start_s = time.monotonic()
            pictures = [(i, str(entry.file)) for i, entry in enumerate(batch)]
            try:
                for place, score in self._crews[lane].scores(pictures, len(batch)):
                    batch[place].answer.set_result(score)
            except Exception as error:  # noqa: BLE001 (it reaches whoever waits for the answer)
                self._crews[lane].end()
                self._crews[lane] = self._new_crew()
                for entry in batch:
                    if not entry.answer.done():
                        entry.answer.set_exception(error)
            seconds = time.monotonic() - start_s
            self._seconds_each += 0.2 * (seconds / len(batch) - self._seconds_each)
            self._on_batch(len(batch), seconds)

    def _take(self) -> list[_Waiting]:
        """The next batch: up to `max_batch` pictures, after `max_wait_s` at most; nothing when closing.

        Lanes that have nothing to do share what is there, because two of them at work are faster than one full batch.
        """
        with self._changed:
            self._n_idle += 1
            try:
                while True:
                    self._forget_cancelled()
                    if self._waiting:
                        left_s = self._waiting[0].since_s + self._max_wait_s - time.monotonic()
                        if len(self._waiting) >= self._max_batch or left_s <= 0:
                            n = min(self._max_batch, ceil(len(self._waiting) / self._n_idle))
                            taken = [self._waiting.popleft() for _ in range(n)]
                            batch = [entry for entry in taken if entry.answer.set_running_or_notify_cancel()]
                            if batch:
                                return batch
                        else:
                            self._changed.wait(left_s)
                    elif self._closing:
                        return []
                    else:
                        self._changed.wait()
            finally:
                self._n_idle -= 1

    def _forget_cancelled(self) -> None:
        for entry in [entry for entry in self._waiting if entry.answer.cancelled()]:
            self._waiting.remove(entry)
