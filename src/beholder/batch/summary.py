"""What came of a run: the answer to `how many, how fast, on what`, and which row failed why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from beholder.imaging.status import STATUSES

if TYPE_CHECKING:
    import pyarrow as pa

N_FAILURES = 10
"""Failed rows that a summary names."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands. Sent when it starts, after every picture and after every finished shard."""

    n_done: int
    """Rows that are finished, those of an earlier, resumed run included."""
    n_total: int
    n_scored: int
    """Rows that this run finished."""
    n_failed: int
    """Of those that this run finished."""
    shard: int | None
    """Number of the shard that was finished just now; None for a mere picture."""
    n_shards: int


@dataclass(frozen=True)
class Failure:
    """A row without a score."""

    path: str
    """As in the table, see `beholder.batch.rows.path_text`."""
    status: str
    error: str


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Summary:
    """Counts and speed of a run."""

    counts: Mapping[str, int]
    """Rows per status, in the order of `STATUSES`; only those that occur."""
    n_scored: int
    """Pictures that this run looked at; the rest was there from an earlier one."""
    seconds: float
    """Wall time, start of the workers included."""
    device: str
    workers: int
    model: str
    failures: tuple[Failure, ...]
    """The first `N_FAILURES` rows without a score."""

    @property
    def n_total(self) -> int:
        """Rows of the table."""
        return sum(self.counts.values())

    @property
    def n_failed(self) -> int:
        """Rows without a score."""
        return self.n_total - self.counts.get("ok", 0)

    @property
    def pictures_per_s(self) -> float:
        """Speed of this run; 0 if it had nothing to do."""
        return self.n_scored / self.seconds if self.n_scored else 0.0

    def __str__(self) -> str:
        counts = ", ".join(f"{n:,} {status}" for status, n in self.counts.items())
        noun = "picture" if self.n_total == 1 else "pictures"
        if not self.n_scored:
            return f"{self.n_total:,} {noun}: {counts} | nothing left to score | {self.model}"
        reused = f" | {self.n_total - self.n_scored:,} from before" if self.n_scored < self.n_total else ""
        crew = f"{self.workers} worker" + ("s" if self.workers > 1 else "")
        speed = f"{self.pictures_per_s:,.0f}" if self.pictures_per_s >= 10 else f"{self.pictures_per_s:.2g}"
        return (
            f"{self.n_total:,} {noun}: {counts}{reused} | {self.seconds:.1f} s, {speed} pictures/s "
            f"| {self.device}, {crew} | {self.model}"
        )


def count_rows(tables: Iterable[pa.Table]) -> tuple[dict[str, int], tuple[Failure, ...]]:
    """Rows per status in the order of `STATUSES`, and the first `N_FAILURES` failed rows."""
    counter: Counter[str] = Counter()
    failures: list[Failure] = []
    for rows in tables:
        statuses = rows["status"].to_pylist()
        counter.update(statuses)
        failed = (i for i, status in enumerate(statuses) if status != "ok")
        for i in islice(failed, N_FAILURES - len(failures)):
            failures += [Failure(**row) for row in rows.select(["path", "status", "error"]).slice(i, 1).to_pylist()]
    return {status: counter[status] for status in STATUSES if counter[status]}, tuple(failures)
