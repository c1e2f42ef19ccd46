"""A run over many pictures: one row each, kept as soon as it is there, so that any stop costs only what was in flight.

`FILE.jsonl` gets a line per job; `FILE.meta.json` says what was asked of whom. A second run with the same settings goes
on where the first stopped; with other settings it is refused, since one file would hold texts of two kinds. While a
run is going on rows stand in the order they were finished; in the end they stand in the order of the jobs.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from beholder.errors import UserError
from beholder.language.ask import FAILURES, Answer, Backend, HopelessError, Question
from beholder.language.rows import Row, appending, line_of, read_rows, write_rows, write_whole

GIVE_UP_AFTER = 20
"""So many answers in a row that failed at the model, and the run ends: the next picture would fare no better."""


@dataclass(frozen=True)
class Job:
    """One row to be."""

    question: Question
    columns: Mapping[str, Any]
    """What the row holds besides its id, texts, status and error; in the order of the line."""
    refused: Answer | None = None
    """The answer, where the question must not be asked."""


@dataclass(frozen=True)
class Shape:
    """Names of the columns that the run fills in."""

    id: str
    texts: str


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    n_done: int
    """Rows that are finished, those of an earlier run included."""
    n_total: int
    n_new: int
    """Rows that this run finished."""
    n_failed: int
    """Of those that this run finished."""


OnProgress = Callable[[Progress], None]


def run(
    jobs: Sequence[Job],
    backend: Backend,
    out: Path,
    shape: Shape,
    *,
    settings: Mapping[str, Any],
    retry_failed: bool = False,
    overwrite: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> Counter[str]:
    """Ask every job that has no row in `out` yet; the number of rows per status in the whole file.

    `settings` is what the texts depend on; it is kept beside `out` and compared on resuming. Failed rows stay, unless
    `retry_failed` asks them again. On Ctrl-C the answers in flight are awaited and kept. Raises `UserError` where
    `out` is of other settings, holds rows of other jobs, or is being written; `HopelessError` where the model is out.
    """
    if out.suffix != ".jsonl":
        raise UserError(f"{out} ends in {out.suffix!r}; rows are written to a .jsonl file")
    ids = [job.question.id for job in jobs]
    if len(set(ids)) < len(ids):
        twice = next(name for name, count in Counter(ids).items() if count > 1)
        raise UserError(f"{twice!r} is asked about twice; ids are unique in a run")
    out.parent.mkdir(parents=True, exist_ok=True)
    with appending(out):  # keeps other runs off while the file is put in order; from then on the inner lock does
        done = {} if overwrite else _earlier(out, set(ids), shape, settings, retry_failed)
        write_rows(done.values(), out)
        _write_meta(out, settings, {})
        with appending(out) as stream:
            writer = _Writer(stream, shape, done, len(jobs), on_progress)
            on_progress(writer.progress())
            try:
                _ask_all([job for job in jobs if job.question.id not in done], backend, writer)
            finally:
                write_rows((writer.done[name] for name in ids if name in writer.done), out)
                counts = Counter(row["status"] for row in writer.done.values())
                _write_meta(out, settings, counts)
    return counts


def meta_file(out: Path) -> Path:
    """Where the settings of a run are kept: `FILE.meta.json` beside `FILE.jsonl`."""
    return out.with_suffix(".meta.json")


def _write_meta(out: Path, settings: Mapping[str, Any], counts: Mapping[str, int]) -> None:
    content = {"settings": dict(settings), "rows": dict(counts)}
    write_whole(meta_file(out), json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _earlier(out: Path, ids: set[str], shape: Shape, settings: Mapping[str, Any], retry_failed: bool) -> dict[str, Row]:
    """Rows of an earlier run that are to be kept, by id."""
    rows = {str(row.get(shape.id)): row for row in read_rows(out)}
    if not rows:
        return {}
    advice = "Try another -o, or --overwrite to write all rows anew"
    try:
        before = json.loads(meta_file(out).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, LookupError, TypeError):
        raise UserError(
            f"{out} holds rows, but {meta_file(out).name} beside it doesn't say of which run. {advice}"
        ) from None
    now = json.loads(json.dumps(dict(settings)))
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise UserError(f"{out} was made with {key} = {before.get(key)!r}, now it is {now.get(key)!r}. {advice}")
    if strangers := rows.keys() - ids:
        raise UserError(f"{out} has rows of other pictures, e.g. {strangers.pop()!r}. {advice}")
    return {name: row for name, row in rows.items() if row.get("status") == "ok" or not retry_failed}


class _Writer:
    """Turns answers into rows on disk, and counts."""

    def __init__(
        self, stream: BinaryIO, shape: Shape, earlier: Mapping[str, Row], n_total: int, on_progress: OnProgress
    ) -> None:
        self.done = dict(earlier)
        self._stream, self._shape, self._n_total, self._on_progress = stream, shape, n_total, on_progress
        self._n_new = self._n_failed = self._failed_in_a_row = 0

    def keep(self, job: Job, answer: Answer) -> None:
        """Write the row of a job, in one write, so that only the last line of a killed run can be torn."""
        if answer.id != job.question.id:
            raise ValueError(f"the answer to {job.question.id!r} says it is to {answer.id!r}")
        row = {
            self._shape.id: answer.id,
            **job.columns,
            self._shape.texts: list(answer.texts) if answer.status == "ok" else [],
            "status": answer.status,
            "error": answer.error,
        }
        self._stream.write(line_of(row).encode())
        self.done[answer.id] = row
        self._n_new += 1
        self._n_failed += answer.status != "ok"
        self._failed_in_a_row = self._failed_in_a_row + 1 if answer.status in FAILURES else 0
        self._on_progress(self.progress())

    def check(self, answer: Answer) -> None:
        """Raise `HopelessError` after too many failures of the model in a row."""
        if self._failed_in_a_row >= GIVE_UP_AFTER:
            raise HopelessError(
                f"{self._failed_in_a_row} answers in a row failed, the last one: {answer.status}, {answer.error}. "
                "All rows so far are kept; --retry-failed asks the failed ones again"
            )

    def progress(self) -> Progress:
        """Where the run stands."""
        return Progress(len(self.done), self._n_total, self._n_new, self._n_failed)


_Batch = list[Job]


def _ask_all(jobs: Sequence[Job], backend: Backend, writer: _Writer) -> None:
    """Ask `backend.concurrency` batches at a time; every answer is written by this thread."""
    to_ask = []
    for job in jobs:
        if job.refused is None:
            to_ask.append(job)
        else:
            writer.keep(job, job.refused)
    in_flight: dict[Future[list[Answer]], _Batch] = {}
    with ThreadPoolExecutor(backend.concurrency, thread_name_prefix="ask") as pool:
        try:
            for batch in batched(to_ask, backend.batch):
                in_flight[pool.submit(backend.ask, [job.question for job in batch])] = batch
                while len(in_flight) >= backend.concurrency:
                    _collect(in_flight, writer)
            while in_flight:
                _collect(in_flight, writer)
        except BaseException:
            backend.stop()
            for future in wait(in_flight).done:  # paid for already
                if future.exception() is None:
                    for job, answer in zip(in_flight[future], future.result(), strict=True):
                        writer.keep(job, answer)
            raise


def _collect(in_flight: dict[Future[list[Answer]], _Batch], writer: _Writer) -> None:
    for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
        answers = future.result()
        for job, answer in zip(in_flight.pop(future), answers, strict=True):
            writer.keep(job, answer)
            writer.check(answer)


def batched(jobs: Sequence[Job], size: int) -> Iterator[_Batch]:
    """Runs of `size` jobs, the last one may be shorter."""
    for start in range(0, len(jobs), size):
        yield list(jobs[start : start + size])
