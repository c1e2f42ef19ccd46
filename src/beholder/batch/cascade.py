"""A fast model for all pictures, and a slow one for those that are near a limit, and for a random few that check it.

Two ordinary runs, each with its plan and parts in the folder `OUT.cascade`, and then one table of both. So a cascade
that was stopped goes on wherever it was, by the rules of any run.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beholder.batch.agreement import Agreement, agreement
from beholder.batch.files import check_suffix, read_rows, remove_leftovers, replacing, write_rows
from beholder.batch.lock import locked
from beholder.batch.machines import out_of_slice, parse_slice
from beholder.batch.picks import SCHEMA_OF_BOTH, joined, pick
from beholder.batch.plan import cascade_folder, has_plan, parts_folder
from beholder.batch.rows import path_from_text
from beholder.batch.run import Inputs, score
from beholder.batch.sort import SortKey, check_sort, sorted_rows
from beholder.batch.summary import Summary, count_rows
from beholder.errors import UserError
from beholder.scoring.asked import Asked
from beholder.scoring.card import Card
from beholder.scoring.model import TaskChoice, tasks_of
from beholder.scoring.table import DEFAULT, resolve
from beholder.task import TASKS

BAND = (40.0, 60.0)
AUDIT = 0.02

_PLAN_FILE = "cascade.json"


@dataclass(frozen=True)
class Cascade:
    """Which pictures the slow model gets. Checked when it is made; raises `UserError`."""

    model: str
    """The slow model, named as any."""
    band: tuple[float, float] = BAND
    """A picture with a score of the fast model from the first to the second is in doubt, in whichever task."""
    audit: float = AUDIT
    """Share of all scored pictures, 0 to 1, that both models score so that their agreement is known."""

    def __post_init__(self) -> None:
        low, high = self.band
        if not 0 <= low <= high <= 100:
            raise UserError(f"--band {low:g}-{high:g}: allowed are two scores from 0 to 100, the lower first, as 40-60")
        if not 0 <= self.audit <= 1:
            raise UserError(f"--audit {100 * self.audit:.6g}%: allowed are shares from 0% to 100%, such as 2%")


def parse_band(text: str) -> tuple[float, float]:
    """A band as `--band` names it.

    >>> parse_band("40-60")
    (40.0, 60.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", text.strip(), re.ASCII)
    if found is None:
        raise UserError(f"--band {text}: allowed are two scores from 0 to 100, the lower first, as 40-60")
    return float(found[1]), float(found[2])


def parse_audit(text: str) -> float:
    """A share as `--audit` names it.

    >>> parse_audit("2%")
    0.02
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip(), re.ASCII)
    if found is None:
        raise UserError(f"--audit {text}: allowed are shares from 0% to 100%, such as 2%")
    return float(found[1]) / 100


@dataclass(frozen=True)
class CascadeRun:
    """What `score_cascade` gives back."""

    path: Path
    """The file with all rows, of `SCHEMA_OF_BOTH`."""
    summary: Summary
    """Of the fast model's run, which decides what could be scored."""
    slow_summary: Summary | None
    """Of the slow model's run; None where it had nothing to do."""
    fast: Card
    slow: Card
    n_band: int
    """Rows in the band."""
    n_audit: int
    """Rows of the audit, some of which may be in the band."""
    n_slow: int
    """Rows that hold the slow model's score."""
    n_slow_failed: int
    """Rows that it was to score and has no score of."""
    agreements: tuple[Agreement, ...]
    """Of both on the audit, per task, the fast model being the first. The audit is drawn from all scored pictures."""

    @property
    def table(self) -> pa.Table:
        """All rows, of `SCHEMA_OF_BOTH`."""
        return read_rows(self.path, SCHEMA_OF_BOTH)

    def __str__(self) -> str:
        rest = self.summary.counts.get("ok", 0) - self.n_slow
        failed = f", {self.n_slow_failed:,} not scored by {self.slow.name}" if self.n_slow_failed else ""
        lines = [
            f"scores of {self.slow.name}: {self.n_slow:,}, of {self.fast.name}: {rest:,} | "
            f"{self.n_band:,} in the band, {self.n_audit:,} in the audit{failed}"
        ]
        if self.n_audit:
            lines += [f"audit of {self.fast.name} by {self.slow.name}, {one}" for one in self.agreements]
        return "\n".join(lines)


def score_cascade(
    inputs: Inputs = (),
    *,
    cascade: Cascade,
    out: str | Path,
    model: str | Path = DEFAULT,
    task: TaskChoice = "both",
    resume: bool = False,
    overwrite: bool = False,
    sort: SortKey | None = None,
    shard: str | None = None,
    workers: int | None = None,
    explain: bool = False,
    levels: bool = False,
    allow_prompt_mismatch: bool = False,
    **options: Any,
) -> CascadeRun:
    """Score all pictures with `model`, then with `cascade.model` those in its band and its audit; one row per picture.

    A row holds the slow model's scores where it gave them and the fast one's elsewhere, and says whose they are
    (`model`), what the fast one gave, and why the slow one looked. Where the slow model fails, the fast one's score
    stays and the row's `note` says why. Arguments are those of `batch.run.score`, to which `options` go; `explain`,
    `levels` and `allow_prompt_mismatch` are asked of the slow model. The audit is drawn by a hash of the path.

    Raises `UserError` as `score` does, where both models are the same or have different tasks, and where a cascade to
    resume was started with another band or audit.
    """
    out = Path(out) if shard is None else out_of_slice(Path(out), parse_slice(shard))
    check_suffix(out)
    if sort is not None:
        check_sort(sort)
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other: give one of them")
    asked = Asked(explain, levels, allow_prompt_mismatch)
    fast, slow_model = resolve(model).card(), resolve(cascade.model, asked)
    slow = slow_model.card()
    _check_pair(fast, slow, task)
    folder = cascade_folder(out)
    if resume and out.exists() and not folder.exists():
        return finished_cascade(out, fast, slow)
    files = folder / "fast.parquet", folder / "slow.parquet"
    _start(folder, out, cascade, resume=resume, overwrite=overwrite)
    try:
        first = score(
            inputs, model=model, task=task, out=files[0], resume=True, shard=shard, workers=workers, **options
        )
    except UserError:
        if not (files[0].exists() or has_plan(parts_folder(files[0]))):  # nothing was begun
            shutil.rmtree(folder)
        raise
    picked = pick(files[0], cascade.band, cascade.audit)
    second = None
    if picked:
        second = score(
            [path_from_text(path) for path in picked],
            model=cascade.model,
            task=task,
            out=files[1],
            resume=True,
            workers=None if slow_model.engine.one_process else workers,
            explain=explain,
            levels=levels,
            allow_prompt_mismatch=allow_prompt_mismatch,
            **options,
        )
    with locked(out):
        tables = joined(files[0], files[1] if picked else None, picked)
        if sort:
            tables = iter([sorted_rows(pa.concat_tables(tables), sort)])
        write_rows(tables, out, SCHEMA_OF_BOTH)
        shutil.rmtree(folder)
        remove_leftovers(out)
    return run_of(out, first.summary, second.summary if second else None, fast, slow)


def _check_pair(fast: Card, slow: Card, task: TaskChoice) -> None:
    if (fast.weights_sha256, fast.preprocess) == (slow.weights_sha256, slow.preprocess):
        raise UserError(f"--cascade {slow.name}: that is the model of --model as well. Name a slower and better one")
    if tasks_of(fast, task) != tasks_of(slow, task):
        raise UserError(
            f"{fast.name} scores {', '.join(fast.tasks)} and {slow.name} {', '.join(slow.tasks)}. "
            "Name a --task that both have"
        )


def _start(folder: Path, out: Path, cascade: Cascade, *, resume: bool, overwrite: bool) -> None:
    """Make the folder of a cascade, or find it as this one left it."""
    if not out.parent.is_dir():
        raise UserError(f"can't write {out}: the folder {out.parent} does not exist. Make it first")
    plan = json.dumps({"band": cascade.band, "audit": cascade.audit}) + "\n"
    file = folder / _PLAN_FILE
    if file.exists() and not overwrite:
        if not resume:
            raise UserError(
                f"{folder} holds a cascade that was stopped. Finish it with --resume, or start again with --overwrite"
            )
        if file.read_text(encoding="utf-8") != plan:
            raise UserError(
                f"{folder} was started with other settings, {file.read_text(encoding='utf-8').strip()}; this run has "
                f"{plan.strip()}. Give the same --band and --audit, or start again with --overwrite"
            )
        return
    if out.exists() and not overwrite:
        raise UserError(f"{out} exists already. Replace it with --overwrite, or choose another name")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    with replacing(file) as temporary:
        temporary.write_text(plan, encoding="utf-8")


def finished_cascade(out: Path, fast: Card, slow: Card) -> CascadeRun:
    """What is told of a finished file. Raises `UserError` where it has scores of another model."""
    rows = read_rows(out, SCHEMA_OF_BOTH)
    allowed = {fast.weights_sha256: fast.name, slow.weights_sha256: slow.name}
    for name, sha256 in zip(rows["model"].to_pylist(), rows["weights_sha256"].to_pylist(), strict=True):
        if sha256 not in allowed:
            raise UserError(
                f"{out} has scores of {name} (weights {sha256[:12]}), which is neither {fast.name} nor {slow.name} as "
                "they are now. Give those models, or score everything again with --overwrite"
            )
    counts, failures = count_rows([rows])
    summary = Summary(counts, 0, 0.0, "", 0, fast.name, failures)
    return run_of(out, summary, None, fast, slow)


def run_of(out: Path, summary: Summary, slow_summary: Summary | None, fast: Card, slow: Card) -> CascadeRun:
    """What is told of the rows in `out`, after the runs of both models."""
    rows = read_rows(out, SCHEMA_OF_BOTH)
    picked = rows["picked"].fill_null("")
    in_audit = pc.match_substring(picked, "audit")
    by_slow = pc.and_(
        pc.equal(rows["weights_sha256"], slow.weights_sha256), pc.equal(rows["preprocess"], slow.preprocess)
    )
    audited = rows.filter(pc.and_(in_audit, by_slow))
    n_slow = pc.sum(by_slow).as_py() or 0
    return CascadeRun(
        path=out,
        summary=summary,
        slow_summary=slow_summary,
        fast=fast,
        slow=slow,
        n_band=pc.sum(pc.match_substring(picked, "band")).as_py() or 0,
        n_audit=pc.sum(in_audit).as_py() or 0,
        n_slow=n_slow,
        n_slow_failed=len(rows) - rows["picked"].null_count - n_slow,
        agreements=tuple(
            agreement(task, audited[f"fast_{task}"], audited[task]) for task in TASKS if _has(rows, f"fast_{task}")
        ),
    )


def _has(rows: pa.Table, column: str) -> bool:
    return bool(rows[column].null_count < len(rows))
