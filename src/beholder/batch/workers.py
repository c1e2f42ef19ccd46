"""A crew of worker processes: pictures in, scores out, and one bad picture costs one row.

Why not a ready-made pool: an honest time limit per picture has to know which picture a worker holds, and ready-made
pools run the caller's script again in every worker (a script that calls `beholder.score` without a `__main__` guard
would fail). Here each worker has its own pipe and holds at most one chunk: a worker that dies or hangs takes nothing
else with it, and the parent is a single thread that only ever sends to a worker that listens.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from threading import Lock
from types import ModuleType
from typing import Any, Literal, Self

from beholder.batch.worker import LOADING, Job, work
from beholder.errors import UserError
from beholder.scoring.score import Score

Picture = tuple[int, str]
"""Index in the input, and path."""

StartMethod = Literal["fork", "spawn"]

_MAIN = Lock()
"""Held while `__main__` is hidden."""

PYTHON_EXCEPTION = 1
"""Exit code of a worker from which an exception escaped: a bug of ours. A decoder's crash ends with a signal."""


def usable_cpus() -> int:
    """CPU cores that this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def start_method() -> StartMethod:
    """How to start workers from this process as it is now.

    A fork takes over all modules that are imported already, a third of a second of work for each worker. It is safe
    only from a process with a single thread, which Linux can tell (libraries start threads unseen by Python), and
    before locks on files are taken, which it would share. Everywhere else a worker starts from nothing.
    """
    try:
        n_threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 (names only)
    except OSError:
        return "spawn"
    return "fork" if n_threads == 1 else "spawn"


def chunk_size(n_left: int, n_workers: int, batch_size: int) -> int:
    """Pictures to hand over at once: fewer towards the end, so that no worker is at many when the others are done.

    >>> [chunk_size(n, n_workers=2, batch_size=8) for n in (400, 32, 20, 8, 1)]
    [8, 8, 5, 2, 1]
    """
    return max(1, min(batch_size, n_left // (2 * n_workers)))


@dataclass(frozen=True)
class _Chunk:
    """What a worker gets at once; never empty."""

    pictures: list[Picture]
    suspect: bool = False
    """One picture that was in a worker's hands when it died; a second death is this picture's fault."""


class Crew:
    """Worker processes that score pictures. Use as a context manager: leaving it ends them, whatever they do."""

    def __init__(self, job: Job, *, workers: int, batch_size: int, timeout_s: float) -> None:
        self.device = "cpu"
        """Where the model runs, as the workers say with every answer."""
        self.since_s = time.monotonic()
        """When the crew was called together, on the clock of `time.monotonic`."""
        self._job = job
        self._max_workers = workers
        self._batch_size = batch_size
        self._timeout_s = timeout_s
        self._workers: list[_Worker] = []

    @property
    def size(self) -> int:
        """Workers that have been started."""
        return len(self._workers)

    def start(self, n_pictures: int, method: StartMethod = "spawn") -> None:
        """Start as many workers as there are chunks in `n_pictures`, less those that run already.

        `scores` does this too. Called earlier, it lets the workers load the model while the caller is busy otherwise.
        """
        while len(self._workers) < min(self._max_workers, -(-n_pictures // self._batch_size)):
            self._workers.append(_Worker(self._job, method))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End all workers at once, also those in the middle of a picture."""
        for worker in self._workers:
            worker.process.kill()  # all at once, before waiting for any
        for worker in self._workers:
            worker.end()

    def scores(self, pictures: Iterable[Picture], n_pictures: int) -> Iterator[tuple[int, Score]]:
        """Index and score of every one of `n_pictures`, in the order they are finished; nothing is dropped.

        `pictures` is read as workers get free, so memory doesn't grow with its length. A picture that takes longer
        than the time limit gets status `timeout`; one whose worker dies, and dies again when the picture is tried
        alone, gets `crashed`. Raises `UserError` where the model can't be loaded, `RuntimeError` where a worker has
        a bug.
        """
        self.start(n_pictures)
        source = iter(pictures)
        n_left = n_pictures
        again: deque[_Chunk] = deque()  # what is left of chunks whose worker ended
        tick_s = min(1.0, self._timeout_s / 4)
        while True:
            for worker in self._workers:
                if worker.chunk is None:
                    if again:
                        worker.give(again.popleft())
                    elif some := list(islice(source, chunk_size(n_left, self.size, self._batch_size))):
                        n_left -= len(some)
                        worker.give(_Chunk(some))
            busy = [worker for worker in self._workers if worker.chunk is not None]
            if not busy:
                return
            answered = wait([worker.pipe for worker in busy], timeout=tick_s)
            for worker in busy:
                if worker.pipe in answered:
                    yield from self._take_answer(worker, again)
                elif worker.is_late(self._timeout_s):
                    yield from self._after_timeout(worker, again)

    def _take_answer(self, worker: _Worker, again: deque[_Chunk]) -> Iterator[tuple[int, Score]]:
        try:
            answer = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._after_death(worker, again)
            return
        if isinstance(answer, UserError):
            raise answer
        self.device, scores = answer
        for (index, _), score in zip(worker.take_back().pictures, scores, strict=True):
            yield index, score

    def _after_death(self, worker: _Worker, again: deque[_Chunk]) -> Iterator[tuple[int, Score]]:
        worker.process.join(timeout=10)  # its pipe closes before its traceback is out and its exit code is known
        code = worker.end()
        if code == PYTHON_EXCEPTION:
            raise RuntimeError("a worker process ended with an exception; its traceback is on stderr")
        stage, chunk = worker.stage.value, worker.take_back()
        if stage == LOADING:
            raise UserError(
                f"a worker process died while it loaded the model (exit code {code}); memory may be short. "
                f"Try fewer workers: --workers {max(1, len(self._workers) // 2)}"
            )
        if chunk.suspect:
            index, path = chunk.pictures[0]
            yield index, Score(path=path, status="crashed", error=f"its worker process died twice (exit code {code})")
        else:
            suspects = chunk.pictures[stage : stage + 1] if stage >= 0 else chunk.pictures
            others = [picture for picture in chunk.pictures if picture not in suspects]
            again.extend([_Chunk(others)] if others else [])
            again.extend(_Chunk([picture], suspect=True) for picture in suspects)
        self._replace(worker)

    def _after_timeout(self, worker: _Worker, again: deque[_Chunk]) -> Iterator[tuple[int, Score]]:
        worker.end()
        stage, chunk = worker.seen, worker.take_back()
        guilty = 0 if len(chunk.pictures) == 1 else stage
        if guilty < 0:  # it hung while scoring several
            again.extend(_Chunk([picture]) for picture in chunk.pictures)
        else:
            index, path = chunk.pictures[guilty]
            yield index, Score(path=path, status="timeout", error=f"took longer than {self._timeout_s:g} s")
            others = chunk.pictures[:guilty] + chunk.pictures[guilty + 1 :]
            again.extend([_Chunk(others)] if others else [])
        self._replace(worker)

    def _replace(self, worker: _Worker) -> None:
        self._workers[self._workers.index(worker)] = _Worker(self._job)


class _Worker:
    """One process, the pipe to it, and what it holds."""

    def __init__(self, job: Job, method: StartMethod = "spawn") -> None:
        context: Any = multiprocessing.get_context(method)  # typeshed knows no context that can do either
        self.pipe, theirs = context.Pipe()
        self.stage = context.RawValue("q", LOADING)
        self.process = context.Process(target=work, args=(theirs, self.stage, job), daemon=True)
        with no_main_module(), no_interrupt():
            self.process.start()
        theirs.close()
        self.chunk: _Chunk | None = None
        self.seen = LOADING
        self._since_s = 0.0

    def give(self, chunk: _Chunk) -> None:
        self.chunk = chunk
        self._since_s = time.monotonic()
        with suppress(OSError):  # it is dead already: reading its answer will tell
            self.pipe.send([path for _, path in chunk.pictures])

    def take_back(self) -> _Chunk:
        assert self.chunk is not None
        chunk, self.chunk = self.chunk, None
        return chunk

    def is_late(self, timeout_s: float) -> bool:
        """Whether it has been at the same picture for longer than the limit, as far as the parent has seen."""
        stage, now_s = int(self.stage.value), time.monotonic()
        if stage != self.seen:
            self.seen, self._since_s = stage, now_s
        return now_s - self._since_s > timeout_s * max(1, -stage)  # -n: n pictures share this stage

    def end(self) -> int | None:
        """Kill the process if it still runs; its exit code, negative for a signal."""
        self.process.kill()
        self.process.join()
        self.pipe.close()
        code: int | None = self.process.exitcode
        return code


@contextmanager
def no_main_module() -> Iterator[None]:
    """Keep a worker from running the caller's script: spawn would import `__main__`, and we need nothing from it."""
    with _MAIN:  # crews may live in several threads of one process
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def no_interrupt() -> Iterator[None]:
    """Start a process that Ctrl-C doesn't reach, not even while it imports; the parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # a signal mask survives exec
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
