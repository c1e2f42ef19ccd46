"""A run of any number of rows whose pictures are never opened: plan, parts, lock, resume and the final file are real.

    python bench/scale_stub.py OUT N [--shard-size 2000] [--die-after 250] [--tell FILE]

Whoever turns shards into rows is a `Workforce` (`beholder.batch.shards`): the processes of one machine, a Ray cluster,
or, here, `Unopened`. `--die-after` kills this process with SIGKILL when so many parts are finished; the same command
without it goes on from there. `--tell` writes how long it took, and the memory of the process after each part.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
from memory import rss_bytes

from beholder.batch.execute import score_to_file
from beholder.batch.plan import has_plan, make_plan, parts_folder, write_plan
from beholder.batch.rows import rows_table
from beholder.batch.settings import Settings
from beholder.batch.shards import Meter, Shard
from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.scoring.table import DEFAULT, resolve

LEVELS = (0.1, 0.2, 0.4, 0.2, 0.1)


@dataclass
class Unopened:
    """A workforce that gives every picture the same scores without looking at it."""

    card: Card
    device: str = "cpu"
    size: int = 1
    since_s: float = field(default_factory=time.monotonic)

    def tables(
        self, paths: Sequence[str], shards: Sequence[Shard], settings: Settings, meter: Meter
    ) -> Iterator[tuple[Shard, pa.Table]]:
        """Each shard with its rows, as the processes of one machine give them."""
        for shard in shards:
            scores = [Score(50.0, 50.0, LEVELS, LEVELS, path=paths[i], width=640, height=480) for i in shard.indices]
            meter.n_done += len(scores)
            meter.n_scored += len(scores)
            yield shard, rows_table(scores, self.card)
            settings.on_progress(meter.progress(shard.number))


def name_of(i: int) -> str:
    """The path of picture `i`, as long as paths of such collections are."""
    return f"/data/collection/{i // 1000:06d}/{i:010d}.jpg"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("n", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first picture")
    parser.add_argument("--shard-size", type=int, help="instead of the plan's own")
    parser.add_argument("--tell", type=Path, help="write what was measured here, as JSON")
    parser.add_argument("--die-after", type=int, default=0)
    given = parser.parse_args()
    card = resolve(DEFAULT).card()
    before_mb = rss_bytes(os.getpid()) / 1e6
    paths = [name_of(i) for i in range(given.first, given.first + given.n)]
    listed_mb = rss_bytes(os.getpid()) / 1e6 - before_mb
    memory: list[float] = []

    def on_progress(progress: object) -> None:
        memory.append(rss_bytes(os.getpid()) / 1e6)
        if len(memory) == given.die_after:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings(
        card=card,
        tasks=("quality", "aesthetics"),
        max_pixels=1,
        workers=1,
        batch_size=8,
        timeout_s=1,
        on_progress=on_progress,
    )
    if given.shard_size and not has_plan(parts_folder(given.out)):
        plan = make_plan(paths, card, settings.tasks, settings.max_pixels)
        write_plan(parts_folder(given.out), replace(plan, shard_size=given.shard_size), paths)
    start = time.perf_counter()
    summary = score_to_file(
        given.out, paths, settings, Unopened(card), resume=True, retry_failed=False, overwrite=False, sort=None
    )
    told = {
        "n": summary.n_total,
        "n_scored": summary.n_scored,
        "seconds": time.perf_counter() - start,
        "listed_mb": listed_mb,
        "memory_mb": memory,
    }
    if given.tell:
        given.tell.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
