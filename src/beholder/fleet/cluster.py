"""A Ray cluster as the workforce of a run. Shards go out as lists of paths and come back as rows; no picture travels.

Ray's own retries are off. An actor that is to be restarted while its machine is gone would keep its shard until
another machine appears; here a shard is given only to an actor that has just said that it is there, so that one that
waits for a machine holds nothing up. The driver alone writes part files, so a shard whose actor was lost leaves no
trace, and a finished part is never scored again.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import ray
from ray.exceptions import RayError, RayTaskError

from beholder.batch.settings import Settings
from beholder.batch.shards import Meter, Shard
from beholder.batch.worker import Job
from beholder.batch.workers import usable_cpus
from beholder.errors import UserError
from beholder.fleet.hand import Hand

MAX_LOSSES = 3
"""Times that one shard may lose its actor, and that actors in a row may end before they are ready."""

START_LIMIT_S = 600.0
"""How long a run waits for a first actor: longer than a cloud takes to bring a machine."""


class Cluster:
    """The actors of one run. Use as a context manager: leaving it ends them.

    `address` is `local` for a cluster on this machine that ends with the run, `auto` for the one that runs here, or
    its address. A cluster that the process is connected to already is used whatever the address. `workers` actors at
    most; None: one per GPU for a model that one process holds, one per machine where there is no GPU, and one per CPU
    core for small models. Raises `UserError` where there is no such cluster.
    """

    def __init__(self, job: Job, address: str, workers: int | None) -> None:
        self.device = "ray"
        self.since_s = time.monotonic()
        self._job = job
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            _connect(address, workers)
        self._options, n_usual = _actor_options(one_process=job.checkpoint.engine.one_process)
        self._max_size = workers or n_usual
        self._starting: dict[Any, Any] = {}  # what `ready` will answer -> the actor
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, Shard]] = {}  # the rows to come -> who makes them of what
        self._names: dict[Any, str] = {}

    @property
    def size(self) -> int:
        """Actors that have been ready at some time."""
        return len(self._names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for actor in self._actors():
            ray.kill(actor)
        if self._is_ours:
            ray.shutdown()

    def tables(
        self, paths: Sequence[str], shards: Sequence[Shard], settings: Settings, meter: Meter
    ) -> Iterator[tuple[Shard, pa.Table]]:
        """Each shard of `paths` with its rows, as soon as it is finished.

        A shard whose actor is lost goes to another one. Raises `UserError` where a machine lacks the model, a shard
        loses its actor over and over, or no actor can be started.
        """
        if not shards:
            return
        settings.on_progress(meter.progress())
        waiting, losses = deque(shards), Counter[int]()
        n_false_starts = 0
        while waiting or self._busy:
            self._hire(settings, len(waiting) + len(self._busy))
            self._give(paths, waiting)
            ref = self._next_answer()
            if ref in self._starting:
                name, error = _answer(ref)  # before it leaves the books: where this raises, `__exit__` ends it
                actor = self._starting.pop(ref)
                n_false_starts = n_false_starts + 1 if error else 0
                if n_false_starts > MAX_LOSSES:
                    raise UserError(f"Ray could not start {n_false_starts} actors in a row; the last one: {error}")
                if error is None:
                    self._names[actor] = name
                    self._idle.append(actor)
                continue
            answer, error = _answer(ref)
            actor, shard = self._busy.pop(ref)
            if error is not None:
                ray.kill(actor)  # it may only be out of reach
                losses[shard.number] += 1
                if losses[shard.number] > MAX_LOSSES:
                    raise UserError(
                        f"shard {shard.number} lost its actor {losses[shard.number]} times, the last one being "
                        f"{self._names[actor]} ({error}). Memory of that machine may be short. Finished parts are "
                        "kept: --resume"
                    )
                waiting.appendleft(shard)
                continue
            self.device, rows = answer
            self._idle.append(actor)
            self._give(paths, waiting)  # before the caller takes its time with the rows
            failed = len(rows) - rows["status"].to_pylist().count("ok")
            meter.n_done += len(rows)
            meter.n_scored += len(rows)
            meter.n_failed += failed
            yield shard, rows
            settings.on_progress(meter.progress(shard.number))

    def _actors(self) -> list[Any]:
        return [*self._starting.values(), *self._idle, *(actor for actor, _ in self._busy.values())]

    def _hire(self, settings: Settings, n_shards: int) -> None:
        """Start actors, as many as there are shards; those that were lost are replaced."""
        for _ in range(min(self._max_size, n_shards) - len(self._actors())):
            actor = (
                ray.remote(Hand)
                .options(**self._options)
                .remote(self._job, settings.card, str(Path.cwd()), settings.batch_size, settings.timeout_s)
            )
            self._starting[actor.ready.remote()] = actor

    def _give(self, paths: Sequence[str], waiting: deque[Shard]) -> None:
        while self._idle and waiting:
            actor, shard = self._idle.pop(), waiting.popleft()
            self._busy[actor.score.remote([paths[i] for i in shard.indices])] = (actor, shard)

    def _next_answer(self) -> Any:
        limit_s = None if self._busy or self._idle else START_LIMIT_S
        done, _ = ray.wait([*self._busy, *self._starting], num_returns=1, timeout=limit_s)
        if not done:
            free = ", ".join(f"{amount:g} {name}" for name, amount in sorted(ray.available_resources().items()))
            raise UserError(
                f"no actor could start within {START_LIMIT_S:g} s; each needs {self._options}, free is "
                f"{free or 'nothing'}. Wait for other work on the cluster to end, or add machines"
            )
        return done[0]


def _connect(address: str, workers: int | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else a cluster that we start reports to its makers
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if address == "local":
            ray.init(address="local", num_cpus=workers or usable_cpus(), include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"--ray {address}: {reason} Allowed are local for a cluster on this machine alone, auto for the one that "
            "runs here (ray start --head), or its address, such as 10.0.0.1:6379"
        ) from error


def _actor_options(*, one_process: bool) -> tuple[dict[str, float], int]:
    """What one actor takes of a machine, and how many the cluster has room for."""
    total = ray.cluster_resources()
    if one_process and total.get("GPU", 0) >= 1:
        return {"num_cpus": 1, "num_gpus": 1}, int(total["GPU"])
    if one_process:
        nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
        return {"num_cpus": max(1, min((n for n in nodes if n), default=1))}, max(1, sum(n > 0 for n in nodes))
    return {"num_cpus": 1}, max(1, int(total.get("CPU", 1)))


def _answer(ref: Any) -> tuple[Any, RayError | None]:
    """What an actor answered, or why it is lost. A `UserError` of its own is raised here; another one is a bug."""
    try:
        return ray.get(ref), None
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except RayError as error:
        return None, error
