"""Long jobs in processes that end with whoever started them, however that ends: an error, Ctrl-C, `kill`, `kill -9`.

Every worker waits on a pipe through which nothing is ever sent. The system closes its other end together with the
process that holds it, so a worker learns of that process's death even where nothing could be said any more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from beholder.batch.workers import no_interrupt

Job = tuple[Any, ...]
"""Arguments of one call."""


def run_jobs(
    work: Callable[..., None], jobs: Sequence[Job], processes: int, start: Callable[..., None], shared: Job
) -> Iterator[Job]:
    """Call `work(*job)` for every job, `processes` at a time; gives each job back as soon as it is done.

    A process calls `start(*shared)` before its first job. Both are functions of a module, for a process imports them.
    An exception in a job is raised here; then, and when this process ends, the others are ended in the middle.
    """
    # Spawned, not forked: torch's threads do not survive a fork.
    context = get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    with theirs, ours, ProcessPoolExecutor(processes, context, _start, (theirs, start, shared)) as pool:
        try:
            with no_interrupt():
                waiting = {pool.submit(work, *job): job for job in jobs}
            for future in as_completed(waiting):
                future.result()
                yield waiting[future]
        except BaseException:
            ours.close()  # before the pool waits for every job
            raise


def _start(lifeline: Connection, start: Callable[..., None], shared: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent ends us
    Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    start(*shared)


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv()
    os._exit(1)
