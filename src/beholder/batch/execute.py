"""The three ways a run goes: rows into memory, rows into a file by way of parts, failed rows once more."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from beholder.batch.earlier import check_free, finished_rows, rows_to_retry, stopped_run
from beholder.batch.files import check_suffix, read_rows, remove_leftovers, write_rows
from beholder.batch.lock import locked
from beholder.batch.plan import (
    Plan,
    has_plan,
    make_plan,
    part_file,
    parts_folder,
    remove_parts,
    shard_size,
    write_plan,
)
from beholder.batch.rows import SCHEMA, path_from_text, path_text
from beholder.batch.settings import Settings
from beholder.batch.shards import Meter, Workforce, cut
from beholder.batch.sort import SortKey, sorted_rows
from beholder.batch.summary import Summary, count_rows
from beholder.errors import UserError


def score_to_memory(
    paths: list[str], settings: Settings, force: Workforce, sort: SortKey | None
) -> tuple[pa.Table, Summary]:
    """Rows of all pictures, in order unless sorted."""
    rows, meter = _score(_some(paths), settings, force, n_earlier=0)
    return sorted_rows(rows, sort) if sort else rows, _summarize([rows], meter, settings, force)


def score_to_file(
    out: Path,
    paths: list[str],
    settings: Settings,
    force: Workforce,
    *,
    resume: bool,
    retry_failed: bool,
    overwrite: bool,
    sort: SortKey | None,
) -> Summary:
    """Rows of all pictures in `out`; what an earlier run left there is finished, mended or replaced, as asked."""
    check_suffix(out)
    with locked(out):
        if retry_failed:
            return _retry(out, rows_to_retry(out, settings), paths, settings, force, sort)
        if resume and has_plan(parts_folder(out)):
            plan, planned_paths = stopped_run(out, paths, settings)
            return _finish(out, plan, planned_paths, settings, force, sort)
        if resume and out.exists():
            rows = finished_rows(out, paths, settings)
            meter = Meter(n_total=len(rows), n_shards=0, n_done=len(rows))
            return _summarize([rows], meter, settings, force)
        if not overwrite:
            check_free(out)
        plan = make_plan(_some(paths), settings.card, settings.tasks, settings.max_pixels)
        write_plan(parts_folder(out), plan, paths)
        return _finish(out, plan, paths, settings, force, sort)


def _finish(
    out: Path, plan: Plan, paths: list[str], settings: Settings, force: Workforce, sort: SortKey | None
) -> Summary:
    """Score the shards whose parts are missing, then make `out` of all parts and delete them.

    Can be killed at any moment and called again: a part or `out` is there as a whole or not at all.
    """
    parts = parts_folder(out)
    shards = cut(plan.n_pictures, plan.shard_size)
    files = [part_file(parts, shard.number) for shard in shards]
    missing = [shard for shard in shards if not files[shard.number].exists()]
    n_missing = sum(len(shard.indices) for shard in missing)
    meter = Meter(n_total=plan.n_pictures, n_shards=len(shards), n_done=plan.n_pictures - n_missing)
    for shard, rows in force.tables(paths, missing, settings, meter):
        write_rows([rows], files[shard.number])
    if sort:
        write_rows([sorted_rows(pa.concat_tables(map(read_rows, files)), sort)], out)
    else:
        write_rows(map(read_rows, files), out)
    summary = _summarize(map(read_rows, files), meter, settings, force)
    remove_parts(parts)
    remove_leftovers(out)
    return summary


def _retry(
    out: Path, rows: pa.Table, among: list[str], settings: Settings, force: Workforce, sort: SortKey | None
) -> Summary:
    """Score the failed ones of `rows`, the content of `out`, again and put them in their places in `out`.

    Only those among the paths `among`, unless it is empty.
    """
    wanted = {path_text(path) for path in among}
    statuses, texts = rows["status"].to_pylist(), rows["path"].to_pylist()
    failed = [i for i, status in enumerate(statuses) if status != "ok" and (not wanted or texts[i] in wanted)]
    new, meter = _score([path_from_text(texts[i]) for i in failed], settings, force, n_earlier=len(rows) - len(failed))
    places = np.arange(len(rows))
    places[failed] = len(rows) + np.arange(len(failed))
    rows = pa.concat_tables([rows, new]).take(pa.array(places))
    if failed or sort:
        write_rows([sorted_rows(rows, sort) if sort else rows], out)
    return _summarize([rows], meter, settings, force)


def _some(paths: list[str]) -> list[str]:
    if not paths:
        raise UserError("nothing to score: name pictures or folders, or - for a list on stdin. Try: beholder score .")
    return paths


def _score(paths: list[str], settings: Settings, force: Workforce, n_earlier: int) -> tuple[pa.Table, Meter]:
    shards = cut(len(paths), shard_size(len(paths)))
    meter = Meter(n_total=len(paths) + n_earlier, n_shards=len(shards), n_done=n_earlier)
    tables = {shard.number: rows for shard, rows in force.tables(paths, shards, settings, meter)}
    return pa.concat_tables([SCHEMA.empty_table(), *(tables[number] for number in sorted(tables))]), meter


def _summarize(tables: Iterable[pa.Table], meter: Meter, settings: Settings, force: Workforce) -> Summary:
    """Counts over all rows, earlier ones included; speed of this run."""
    counts, failures = count_rows(tables)
    return Summary(
        counts=counts,
        n_scored=meter.n_scored,
        seconds=time.monotonic() - force.since_s,
        device=force.device,
        workers=force.size,
        model=settings.card.name,
        failures=failures,
    )
