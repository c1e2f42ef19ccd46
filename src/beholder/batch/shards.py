"""From pictures to finished shards: whole tables of rows, each in input order."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from beholder.batch.rows import rows_table
from beholder.batch.summary import OnProgress, Progress
from beholder.batch.worker import Job
from beholder.batch.workers import Crew
from beholder.errors import UserError
from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.task import Task


@dataclass(frozen=True)
class Shard:
    """A run of neighbours in the list of pictures: the unit that is finished or not."""

    number: int
    indices: range


def cut(n_pictures: int, shard_size: int) -> list[Shard]:
    """Shards of `shard_size` neighbours; the last has the rest."""
    starts = range(0, n_pictures, shard_size)
    return [Shard(i, range(start, min(n_pictures, start + shard_size))) for i, start in enumerate(starts)]


@dataclass(frozen=True)
class Settings:
    """How pictures are scored, whatever becomes of the rows. Raises `UserError` for a number out of range."""

    folder: Path
    """Checkpoint folder of the model."""
    card: Card
    tasks: tuple[Task, ...]
    max_pixels: int
    workers: int
    """Processes at most; no more are started than there are chunks."""
    batch_size: int
    """Pictures that a worker gets at once."""
    timeout_s: float
    on_progress: OnProgress

    def __post_init__(self) -> None:
        for name in ("workers", "batch_size", "max_pixels"):
            if (value := getattr(self, name)) < 1:
                raise UserError(f"--{name.replace('_', '-')} {value}: allowed are whole numbers from 1")
        if not self.timeout_s > 0:
            raise UserError(f"--timeout {self.timeout_s:g}: allowed are seconds above 0; the default is 30")


@dataclass
class Meter:
    """What a run measures about itself."""

    n_total: int
    n_shards: int
    n_done: int = 0
    """Rows that are finished, those of an earlier run included."""
    n_scored: int = 0
    n_failed: int = 0
    workers: int = 0
    device: str = "cpu"
    started_s: float = field(default_factory=time.monotonic)

    def progress(self, shard: int | None = None) -> Progress:
        """Where the run stands."""
        return Progress(self.n_done, self.n_total, self.n_scored, self.n_failed, shard, self.n_shards)


def score_shards(
    paths: Sequence[str], shards: Sequence[Shard], settings: Settings, meter: Meter
) -> Generator[tuple[Shard, pa.Table]]:
    """Each shard of `paths` with its rows, as soon as all its pictures are finished.

    Only shards in work are in memory: one or two, or as many as other workers finish while one picture uses up its
    time limit.
    """
    n_pictures = sum(len(shard.indices) for shard in shards)
    if n_pictures == 0:
        return
    pictures = ((index, paths[index]) for shard in shards for index in shard.indices)
    meter.workers = min(settings.workers, -(-n_pictures // settings.batch_size))
    crew = Crew(
        Job(settings.folder, settings.tasks, settings.max_pixels),
        workers=meter.workers,
        batch_size=settings.batch_size,
        timeout_s=settings.timeout_s,
    )
    with crew:
        for shard, scores in _gather(_metered(crew, crew.scores(pictures), settings, meter), shards):
            yield shard, rows_table(scores, settings.card)
            settings.on_progress(meter.progress(shard.number))


def _metered(
    crew: Crew, scores: Iterable[tuple[int, Score]], settings: Settings, meter: Meter
) -> Iterator[tuple[int, Score]]:
    for index, score in scores:
        meter.device = crew.device
        meter.n_done += 1
        meter.n_scored += 1
        meter.n_failed += score.status != "ok"
        settings.on_progress(meter.progress())
        yield index, score


def _gather(scores: Iterable[tuple[int, Score]], shards: Sequence[Shard]) -> Iterator[tuple[Shard, list[Score]]]:
    """Scores in any order become whole shards; pictures are handed out in the order of `shards`, so few are open."""
    upcoming = iter(shards)
    open_shards: list[tuple[Shard, dict[int, Score]]] = []
    for index, score in scores:
        while not any(index in shard.indices for shard, _ in open_shards):
            open_shards.append((next(upcoming), {}))
        place = next(i for i, (shard, _) in enumerate(open_shards) if index in shard.indices)
        shard, found = open_shards[place]
        found[index] = score
        if len(found) == len(shard.indices):
            del open_shards[place]
            yield shard, [found[i] for i in shard.indices]
    n_lost = len(open_shards) + sum(1 for _ in upcoming)
    if n_lost:  # a bug, and the one that nobody would notice
        raise RuntimeError(f"{n_lost} shards of {len(shards)} were never finished")
