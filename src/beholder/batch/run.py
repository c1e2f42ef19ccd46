"""Score a folder of pictures: `beholder.score`, behind the command of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from beholder.batch.machines import out_of_slice, parse_slice, slice_of
from beholder.batch.settings import Settings
from beholder.batch.sort import SortKey, check_sort
from beholder.batch.summary import OnProgress, Summary
from beholder.batch.worker import Job
from beholder.batch.workers import Crew, start_method, usable_cpus
from beholder.errors import UserError
from beholder.imaging.find import find_images
from beholder.imaging.open import DEFAULT_MAX_PIXELS
from beholder.scoring.asked import Asked
from beholder.scoring.card import Card
from beholder.scoring.model import TaskChoice, tasks_of
from beholder.scoring.table import DEFAULT, resolve

if TYPE_CHECKING:
    import pyarrow as pa

    from beholder.batch.shards import Workforce

Inputs = str | Path | Sequence[str | Path]
"""Files, folders, globs, `-` for a list on stdin, CSV or Parquet files with a path column."""

BATCH_SIZE = 8
"""Enough that handing over costs nothing (20 us a picture), few enough that memory stays small (0.8 MB a picture)."""


@dataclass(frozen=True, repr=False)
class Run:
    """What `score` gives back."""

    summary: Summary
    """Counts per status, speed, device."""
    card: Card
    """Of the model: what its numbers mean."""
    path: Path | None
    """The file that holds the rows; None where they are only in memory."""
    rows: pa.Table | None
    """The rows where they are in memory, else None."""

    @property
    def table(self) -> pa.Table:
        """One row per picture (`beholder.batch.rows.SCHEMA`), in input order unless sorted.

        A picture that could not be scored keeps its row, with `status` and `error`. Rows that went to `path` are
        read from there at each call.
        """
        from beholder.batch.files import read_rows

        if self.rows is not None:
            return self.rows
        assert self.path is not None
        return read_rows(self.path)

    def save(self, path: str | Path) -> None:
        """Write the rows as .parquet, .csv or .jsonl; an existing file is replaced as a whole."""
        from beholder.batch.files import write_rows

        write_rows([self.table], Path(path))

    def report(self) -> None:
        """Print the summary, a histogram per task, the lowest ten and the reasons of failed rows."""
        from beholder.batch.report import report_text

        print(report_text(self.table, self.summary))

    def __repr__(self) -> str:
        return f"<beholder run: {self.summary}>"


def score(
    inputs: Inputs = (),
    *,
    model: str | Path = DEFAULT,
    task: TaskChoice = "both",
    out: str | Path | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    overwrite: bool = False,
    sort: SortKey | None = None,
    shard: str | None = None,
    ray: str | None = None,
    recursive: bool = True,
    workers: int | None = None,
    batch_size: int = BATCH_SIZE,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    timeout_s: float | None = None,
    explain: bool = False,
    levels: bool = False,
    allow_prompt_mismatch: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> Run:
    """Score pictures for quality and aesthetics, 0 to 100, higher is better; one row per picture, never a gap.

    The same picture and model give the same score, to 1e-5 in every level probability, whatever the batch size, the
    order and the number of workers. A model that names a number (`tatar:FOLDER`) states its own tolerance.

    `inputs` are files, folders (with what is below them if `recursive`), globs, `-` for a list on stdin, or tables
    with a path column. With `out` (.parquet, .csv or .jsonl) rows go to that file, memory doesn't grow with their
    number, and a run that was stopped, however rudely, can be finished with `resume`; `inputs` may then be left out.
    `retry_failed` scores again what failed in an existing `out`, only those among `inputs` if given. `sort` orders
    the rows and needs them all in memory. `shard`, as `2/8`, scores one of so many slices of the list that `inputs`
    give; `batch.merge.merge` makes one file of their outputs. With `env` torchrun or Slurm say which slice, and
    `{shard}` in the name of `out` stands for it. `ray` has the actors of a Ray cluster score: `local`, `auto` or an
    address. `workers` processes or actors (default: one per usable CPU) score `batch_size` pictures at a time. A
    picture with more than `max_pixels` gets status `too_large` before decoding, one that takes longer than `timeout_s`
    (default: the engine's, 30 for small models) gets `timeout`. `explain` asks the
    model for a reason with each score, `levels` has one that names a number weigh level words instead,
    `allow_prompt_mismatch` lets it be asked with other prompts than it was trained with.
    `on_progress` is called after every picture and every finished shard.

    Raises `UserError` (a ValueError) for anything a person can put right: nothing to score, an unknown model, an
    `out` that exists or that another run is writing, a run to resume that was started with other settings.
    """
    checkpoint = resolve(model, Asked(explain, levels, allow_prompt_mismatch))
    engine, card = checkpoint.engine, checkpoint.card()
    if engine.one_process and ray is None and workers not in (None, 1):
        raise UserError(f"--workers {workers}: {card.name} is held by one process. Try a larger --batch-size instead")
    settings = Settings(
        card=card,
        tasks=tasks_of(card, task),
        max_pixels=max_pixels,
        workers=workers if workers is not None else 1 if engine.one_process else usable_cpus(),
        batch_size=batch_size,
        timeout_s=engine.timeout_s if timeout_s is None else timeout_s,
        on_progress=on_progress,
    )
    if sort is not None:
        check_sort(sort)
    if resume + retry_failed + overwrite > 1:
        raise UserError("--resume, --retry-failed and --overwrite exclude each other: give one of them")
    if out is None and (resume or retry_failed or overwrite):
        raise UserError("--resume, --retry-failed and --overwrite need the file they are about: give it with -o")
    which = None if shard is None else parse_slice(shard)
    if out is not None:
        out = _writable(Path(out) if which is None else out_of_slice(Path(out), which))
    paths = _find(inputs, recursive)
    if which is not None:
        paths = slice_of(paths, which)
    job = Job(checkpoint, settings.tasks, max_pixels)
    n_at_once = 0 if resume or retry_failed else len(paths)  # those know only later how much is left
    with _workforce(job, settings, n_at_once) if ray is None else _cluster(job, ray, workers) as force:
        from beholder.batch.execute import score_to_file, score_to_memory

        if out is None:
            rows, summary = score_to_memory(paths, settings, force, sort)
            return Run(summary, card, None, rows)
        summary = score_to_file(
            out, paths, settings, force, resume=resume, retry_failed=retry_failed, overwrite=overwrite, sort=sort
        )
        return Run(summary, card, out, None)


@contextmanager
def _workforce(job: Job, settings: Settings, n_pictures: int) -> Iterator[Workforce]:
    """The processes of this machine, as many as `n_pictures` keep busy started at once."""
    with Crew(job, workers=settings.workers, batch_size=settings.batch_size, timeout_s=settings.timeout_s) as crew:
        # A large engine brings libraries with threads and devices of their own, which want a fresh process.
        crew.start(n_pictures, "spawn" if job.checkpoint.engine.one_process else start_method())
        # Only now, because it imports pyarrow: the workers load the model in the meantime.
        from beholder.batch.shards import OneMachine

        yield OneMachine(crew)


@contextmanager
def _cluster(job: Job, address: str, workers: int | None) -> Iterator[Workforce]:
    """The actors of a Ray cluster. The room stands above this one and needs Ray, so it is reached by name."""
    try:
        room = import_module("beholder.fleet.cluster")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UserError("--ray needs Ray, which is not installed. Try: pip install 'beholder[scale]'") from None
    with room.Cluster(job, address, workers) as cluster:
        yield cluster


def _find(inputs: Inputs, recursive: bool) -> list[str]:
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    return find_images([str(entry) for entry in several], recursive=recursive)


def _writable(out: Path) -> Path:
    if out.is_dir():
        raise UserError(f"can't write {out}: it is a folder. Name a file in it, such as {out / 'scores.parquet'}")
    if not out.parent.is_dir():
        raise UserError(f"can't write {out}: the folder {out.parent} does not exist. Make it first")
    return out
