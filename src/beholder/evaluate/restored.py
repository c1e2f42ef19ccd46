"""How near restored pictures are to the true ones: two folders in, a row per picture and means with intervals out."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from math import isfinite
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beholder.batch.workers import usable_cpus
from beholder.errors import UserError
from beholder.evaluate.learned import Learned, measure_learned
from beholder.evaluate.means import mean_estimate
from beholder.evaluate.restoration import gmsd, high_frequency_ratio, lr_consistency, ms_ssim, psnr, ssim
from beholder.evaluate.restored_pairs import Folders, Trio, match
from beholder.evaluate.restored_result import LEARNED, METRICS, PICTURES, Measured, Restoration
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError

MISSING, OTHER_SIZE = "missing", "other_size"
"""Two statuses beside those of `imaging.status`: there is no output; it has not the size of the true picture."""

OnProgress = Callable[[int, int, str], None]
"""Told how much is done, of how much, and what it is."""


@dataclass
class _Row:
    trio: Trio
    status: str = "ok"
    error: str | None = None
    size: tuple[int, int] | None = None
    values: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    true_sha256: str = ""


def evaluate_restoration(
    outputs: str | Path,
    truth: str | Path,
    *,
    out: Path,
    inputs: str | Path | None = None,
    border: int = 4,
    learned: bool = True,
    pyiqa_python: str | None = None,
    device: str = "cpu",
    threads: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
    on_progress: OnProgress = lambda done, total, what: None,
) -> Restoration:
    """Compare the pictures of `outputs` with those of `truth` that have their names, and write both files to `out`.

    `inputs` are the pictures that were restored, for the LR consistency. `border` pixels on each side are left out for
    PSNR, SSIM and high frequencies. All pictures are taken as people see them: upright, 8-bit sRGB. With `learned`,
    pyiqa measures too, in the Python `pyiqa_python` and on `device`; a metric whose weights are not on this machine is
    skipped, and the result says why. A pair that can't be compared is a row with `status` and `error`.

    Raises UserError where no names fit together, or for an option out of its range.
    """
    if border < 0:
        raise UserError(f"--border {border}: allowed are numbers from 0")
    folders = Folders(Path(outputs), Path(truth), None if inputs is None else Path(inputs))
    trios, n_extra = match(folders)
    rows: list[_Row] = []
    with ThreadPoolExecutor(threads or usable_cpus()) as pool:
        for row in pool.map(partial(_measure, folders=folders, border=border), trios):
            rows.append(row)
            on_progress(len(rows), len(trios), "pictures")
    good = [row for row in rows if row.status == "ok"]
    found = Learned(skipped=dict.fromkeys(LEARNED, "not asked for"))
    if learned:
        found = _learned(good, folders, pyiqa_python, device, on_progress)
    skipped = dict(found.skipped)
    if inputs is None:
        skipped["lr_consistency"] = "it needs the pictures that were restored: --input FOLDER"
    digest = hashlib.sha256("".join(f"{row.trio.true}\0{row.true_sha256}\0" for row in rows).encode())
    result = Restoration(
        outputs=_name(folders.outputs),
        truth=_name(folders.truth),
        inputs=None if folders.inputs is None else _name(folders.inputs),
        truth_sha256=digest.hexdigest(),
        border=border,
        n_total=len(rows),
        n_measured=len(good),
        n_extra=n_extra,
        failures=dict(Counter(row.status for row in rows if row.status != "ok").most_common()),
        metrics={
            name: _of_folders(name, found, len(good)) if metric.of_folders else _mean(name, good, resamples, seed)
            for name, metric in METRICS.items()
            if name not in skipped
        },
        skipped=skipped,
        resamples=resamples,
        seed=seed,
        versions={"python": platform.python_version()}
        | {package: version(package) for package in ("beholder", "numpy", "scipy", "pillow")}
        | ({"pyiqa": found.about} if found.about else {}),
    )
    return result.write(out, _table(rows))


def _measure(trio: Trio, folders: Folders, border: int) -> _Row:
    row = _Row(trio)
    try:
        true_file = folders.truth / trio.true
        true = _opened(true_file)
        row.true_sha256 = hashlib.sha256(true_file.read_bytes()).hexdigest()
        row.size = (true.shape[1], true.shape[0])
        if trio.output is None:
            row.status, row.error = MISSING, f"no picture in {folders.outputs} has its name"
            return row
        output = _opened(folders.outputs / trio.output)
        if output.shape != true.shape:
            sizes = [f"{picture.shape[1]} x {picture.shape[0]}" for picture in (output, true)]
            row.status = OTHER_SIZE
            row.error = f"{trio.output} has {sizes[0]} pixels, the true picture {sizes[1]}; they must be of one size"
            return row
    except ImageError as error:
        row.status, row.error = error.status, str(error)
        return row
    wanted: dict[str, Callable[[], float]] = {
        "psnr": lambda: psnr(output, true, border=border),
        "ssim": lambda: ssim(output, true, border=border),
        "ms_ssim": lambda: ms_ssim(output, true),
        "gmsd": lambda: gmsd(output, true),
        "high_frequency": lambda: high_frequency_ratio(output, true, border=border),
    }
    if folders.inputs is not None:
        wanted["lr_consistency"] = lambda: _kept(output, trio.input, folders.inputs)
    for name, of in wanted.items():
        try:
            value = of()
        except UserError as error:
            row.problems[name] = str(error)
            continue
        if isfinite(value):
            row.values[name] = value
        else:
            row.problems[name] = "no finite number: the pictures are equal, or flat"
    return row


def _opened(file: Path) -> NDArray[np.uint8]:
    """Raises `ImageError`, whose message names the file."""
    try:
        return open_image(file).rgb
    except ImageError as error:
        raise ImageError(error.status, f"{file.name}: {error}") from None


def _kept(output: NDArray[np.uint8], name: str | None, folder: Path | None) -> float:
    if name is None or folder is None:
        raise UserError(f"no picture in {folder} has its name")
    small = _opened(folder / name)
    if small.shape[0] > output.shape[0] or small.shape[1] > output.shape[1]:
        raise UserError(f"{name} is larger than the restored picture")
    return lr_consistency(output, small)


def _learned(rows: list[_Row], folders: Folders, python: str | None, device: str, on_progress: OnProgress) -> Learned:
    pairs = [(folders.outputs / str(row.trio.output), folders.truth / row.trio.true) for row in rows]

    def told(metric: str, index: int) -> None:
        on_progress(index + 1, len(rows), METRICS[metric].title)

    found = measure_learned(pairs, python=python, device=device, on_value=told)
    for name, values in found.values.items():
        for index, value in values.items():
            rows[index].values[name] = value
    for name, problems in found.problems.items():
        for index, problem in problems.items():
            rows[index].problems[name] = problem
    return found


def _mean(name: str, rows: list[_Row], resamples: int, seed: int) -> Measured:
    values = [row.values[name] for row in rows if name in row.values]
    estimate = mean_estimate(values, resamples=resamples, seed=seed)
    problems = [estimate.problem] if estimate.problem else []
    left_out = Counter(row.problems.get(name, "not measured") for row in rows if name not in row.values)
    problems += [f"{n} of {len(rows)} pictures left out: {reason}" for reason, n in left_out.most_common(1)]
    return Measured(**(dict(estimate) | {"problem": "; ".join(problems) or None}), n=len(values))


def _of_folders(name: str, found: Learned, n: int) -> Measured:
    return Measured(
        value=found.of_folders[name], low=None, high=None, problem="no interval: one number for the folder", n=n
    )


def _table(rows: Iterable[_Row]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "path": row.trio.true,
                "output": row.trio.output,
                "input": row.trio.input,
                "width": row.size[0] if row.size else None,
                "height": row.size[1] if row.size else None,
                "status": row.status,
                "error": row.error,
                "problems": "; ".join(f"{name}: {reason}" for name, reason in row.problems.items()) or None,
                **row.values,
            }
            for row in rows
        ],
        schema=PICTURES,
    )


def _name(folder: Path) -> str:
    return folder.resolve().name
