"""The three ways a run goes: rows into memory, rows into a file by way of parts, failed rows once more."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa

from beholder.batch.files import read_rows, remove_leftovers, write_rows
from beholder.batch.plan import Plan, part_file, parts_folder, remove_parts, shard_size
from beholder.batch.rows import SCHEMA, path_from_text, path_text
from beholder.batch.shards import Meter, Settings, cut, score_shards
from beholder.batch.sort import SortKey, sorted_rows
from beholder.batch.summary import Summary, count_rows


def score_to_memory(paths: list[str], settings: Settings) -> tuple[pa.Table, Summary]:
    """Rows of all pictures, in order."""
    rows, meter = _score(paths, settings, n_earlier=0)
    return rows, summarize([rows], meter, settings)


def score_to_file(out: Path, plan: Plan, paths: list[str], settings: Settings, sort: SortKey | None) -> Summary:
    """Score the shards whose parts are missing, then make `out` of all parts and delete them.

    Can be killed at any moment and called again: a part or `out` is there as a whole or not at all.
    """
    parts = parts_folder(out)
    shards = cut(plan.n_pictures, plan.shard_size)
    files = [part_file(parts, shard.number) for shard in shards]
    missing = [shard for shard in shards if not files[shard.number].exists()]
    n_missing = sum(len(shard.indices) for shard in missing)
    meter = Meter(n_total=plan.n_pictures, n_shards=len(shards), n_done=plan.n_pictures - n_missing)
    with closing(score_shards(paths, missing, settings, meter)) as finished:  # a full disk must end the workers, too
        for shard, rows in finished:
            write_rows([rows], files[shard.number])
    if sort:
        write_rows([sorted_rows(pa.concat_tables(map(read_rows, files)), sort)], out)
    else:
        write_rows(map(read_rows, files), out)
    summary = summarize(map(read_rows, files), meter, settings)
    remove_parts(parts)
    remove_leftovers(out)
    return summary


def retry_failed(out: Path, rows: pa.Table, among: list[str], settings: Settings, sort: SortKey | None) -> Summary:
    """Score the failed ones of `rows`, the content of `out`, again and put them in their places in `out`.

    Only those among the paths `among`, unless it is empty.
    """
    wanted = {path_text(path) for path in among}
    statuses, texts = rows["status"].to_pylist(), rows["path"].to_pylist()
    failed = [i for i, status in enumerate(statuses) if status != "ok" and (not wanted or texts[i] in wanted)]
    new, meter = _score([path_from_text(texts[i]) for i in failed], settings, n_earlier=len(rows) - len(failed))
    places = np.arange(len(rows))
    places[failed] = len(rows) + np.arange(len(failed))
    rows = pa.concat_tables([rows, new]).take(pa.array(places))
    if failed or sort:
        write_rows([sorted_rows(rows, sort) if sort else rows], out)
    return summarize([rows], meter, settings)


def summarize(tables: Iterable[pa.Table], meter: Meter, settings: Settings) -> Summary:
    """Counts over all rows, earlier ones included; speed of this run."""
    counts, failures = count_rows(tables)
    return Summary(
        counts=counts,
        n_scored=meter.n_scored,
        seconds=time.monotonic() - meter.started_s,
        device=meter.device,
        workers=meter.workers,
        model=settings.card.name,
        failures=failures,
    )


def _score(paths: list[str], settings: Settings, n_earlier: int) -> tuple[pa.Table, Meter]:
    shards = cut(len(paths), shard_size(len(paths)))
    meter = Meter(n_total=len(paths) + n_earlier, n_shards=len(shards), n_done=n_earlier)
    tables = {shard.number: rows for shard, rows in score_shards(paths, shards, settings, meter)}
    return pa.concat_tables([SCHEMA.empty_table(), *(tables[number] for number in sorted(tables))]), meter
