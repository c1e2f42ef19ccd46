"""From pictures to finished shards: whole tables of rows, each in input order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from beholder.batch.rows import rows_table
from beholder.batch.settings import Settings
from beholder.batch.summary import Progress
from beholder.batch.workers import Crew
from beholder.scoring.score import Score


@dataclass(frozen=True)
class Shard:
    """A run of neighbours in the list of pictures: the unit that is finished or not."""

    number: int
    indices: range


def cut(n_pictures: int, shard_size: int) -> list[Shard]:
    """Shards of `shard_size` neighbours; the last has the rest."""
    starts = range(0, n_pictures, shard_size)
    return [Shard(i, range(start, min(n_pictures, start + shard_size))) for i, start in enumerate(starts)]


@dataclass
class Meter:
    """What a run measures about itself."""

    n_total: int
    n_shards: int
    n_done: int = 0
    """Rows that are finished, those of an earlier run included."""
    n_scored: int = 0
    n_failed: int = 0

    def progress(self, shard: int | None = None) -> Progress:
        """Where the run stands."""
        return Progress(self.n_done, self.n_total, self.n_scored, self.n_failed, shard, self.n_shards)


class Workforce(Protocol):
    """Whoever turns shards into rows: the processes of one machine, or a cluster (`beholder.fleet`)."""

    @property
    def device(self) -> str:
        """Where the model runs."""
        ...

    @property
    def size(self) -> int:
        """Workers that have been started."""
        ...

    @property
    def since_s(self) -> float:
        """When it was called together, on the clock of `time.monotonic`."""
        ...

    def tables(
        self, paths: Sequence[str], shards: Sequence[Shard], settings: Settings, meter: Meter
    ) -> Iterator[tuple[Shard, pa.Table]]:
        """Each shard of `paths` with its rows, as soon as all its pictures are finished."""
        ...


@dataclass(frozen=True)
class OneMachine:
    """The processes of this machine."""

    crew: Crew

    @property
    def device(self) -> str:
        """Where the model runs."""
        return self.crew.device

    @property
    def size(self) -> int:
        """Processes that have been started."""
        return self.crew.size

    @property
    def since_s(self) -> float:
        """When the crew was called together, on the clock of `time.monotonic`."""
        return self.crew.since_s

    def tables(
        self, paths: Sequence[str], shards: Sequence[Shard], settings: Settings, meter: Meter
    ) -> Iterator[tuple[Shard, pa.Table]]:
        """Each shard of `paths` with its rows, as soon as all its pictures are finished.

        Only shards in work are in memory: one or two, or as many as other workers finish while one picture uses up its
        time limit.
        """
        n_pictures = sum(len(shard.indices) for shard in shards)
        if n_pictures == 0:
            return
        settings.on_progress(meter.progress())
        pictures = ((index, paths[index]) for shard in shards for index in shard.indices)
        for shard, scores in _gather(_metered(self.crew.scores(pictures, n_pictures), settings, meter), shards):
            yield shard, rows_table(scores, settings.card)
            settings.on_progress(meter.progress(shard.number))


def _metered(scores: Iterable[tuple[int, Score]], settings: Settings, meter: Meter) -> Iterator[tuple[int, Score]]:
    for index, score in scores:
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
