"""The failed rows of a finished cascade, once more."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from beholder.batch.cascade import Cascade, CascadeRun, finished_cascade, run_of, score_cascade
from beholder.batch.files import check_suffix, write_rows
from beholder.batch.lock import locked
from beholder.batch.picks import SCHEMA_OF_BOTH
from beholder.batch.plan import cascade_folder
from beholder.batch.rows import path_from_text, path_text
from beholder.batch.run import Inputs
from beholder.batch.sort import SortKey, sorted_rows
from beholder.batch.summary import count_rows
from beholder.errors import UserError
from beholder.imaging.find import find_images
from beholder.scoring.asked import Asked
from beholder.scoring.card import Card
from beholder.scoring.model import TaskChoice
from beholder.scoring.table import DEFAULT, resolve


def retry_cascade(
    inputs: Inputs = (),
    *,
    cascade: Cascade,
    out: str | Path,
    model: str | Path = DEFAULT,
    task: TaskChoice = "both",
    sort: SortKey | None = None,
    recursive: bool = True,
    explain: bool = False,
    levels: bool = False,
    allow_prompt_mismatch: bool = False,
    **options: Any,
) -> CascadeRun:
    """Score again what failed in `out`, a finished cascade, and what its slow model failed on; other rows stay.

    Only those among `inputs` if given. Arguments are those of `cascade.score_cascade`; band and audit should be those
    that `out` was made with, which it does not tell. Stopped on the way, it leaves `out` as it was. Raises `UserError`
    where `out` is missing, unfinished, or of other models.
    """
    out = Path(out)
    check_suffix(out)
    if cascade_folder(out).exists():
        raise UserError(f"{out} is not finished: {cascade_folder(out)} holds a cascade that was stopped. --resume it")
    if not out.exists():
        raise UserError(f"{out} does not exist, so nothing in it has failed. Score first, without --retry-failed")
    asked = Asked(explain, levels, allow_prompt_mismatch)
    fast, slow = resolve(model).card(), resolve(cascade.model, asked).card()
    finished = finished_cascade(out, fast, slow)
    rows = finished.table
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    wanted = {path_text(path) for path in find_images([str(entry) for entry in several], recursive=recursive)}
    failed = _failed(rows, fast, wanted)
    if not failed:
        return finished
    folder = out.with_name(out.name + ".retry")
    with locked(out):
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
        folder.mkdir()
        try:
            again = score_cascade(
                [path_from_text(rows["path"][i].as_py()) for i in failed],
                cascade=cascade,
                out=folder / "rows.parquet",
                model=model,
                task=task,
                recursive=recursive,
                explain=explain,
                levels=levels,
                allow_prompt_mismatch=allow_prompt_mismatch,
                **options,
            )
            places = np.arange(len(rows))
            places[failed] = len(rows) + np.arange(len(failed))
            rows = pa.concat_tables([rows, again.table]).take(pa.array(places))
            write_rows([sorted_rows(rows, sort) if sort else rows], out, SCHEMA_OF_BOTH)
        finally:
            shutil.rmtree(folder)
    counts, failures = count_rows([rows])
    return run_of(out, replace(again.summary, counts=counts, failures=failures), again.slow_summary, fast, slow)


def _failed(rows: pa.Table, fast: Card, wanted: set[str]) -> list[int]:
    """Places of rows without a score, and of picked ones that have the fast model's."""
    columns = (rows[name].to_pylist() for name in ("path", "status", "picked", "weights_sha256", "preprocess"))
    return [
        i
        for i, (path, status, why, sha256, preprocess) in enumerate(zip(*columns, strict=True))
        if (status != "ok" or (why is not None and (sha256, preprocess) == (fast.weights_sha256, fast.preprocess)))
        and (not wanted or path in wanted)
    ]
