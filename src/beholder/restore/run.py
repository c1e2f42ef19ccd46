"""Enlarge a folder of pictures: `beholder.upscale`, behind the command of the same name."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder import __version__
from beholder.batch.settings import MAX_TIMEOUT_S
from beholder.errors import UserError
from beholder.restore.enlarge import AlphaChoice, Method
from beholder.restore.finish import ColourFix
from beholder.restore.names import plan_outputs
from beholder.restore.one import enlarge_file
from beholder.restore.options import Decode, Options
from beholder.restore.reader import Reader
from beholder.restore.rows import Row, Run
from beholder.restore.tiles import FACTOR
from beholder.restore.upscaler import Upscaler, load_upscaler

Inputs = str | Path | Sequence[str | Path]
"""Files, folders, globs, `-` for a list on stdin, CSV or Parquet files with a path column."""

DEFAULT_MAX_PIXELS = 16_000_000
"""Of a picture that is enlarged; at scale 4 the result has sixteen times as many."""

DEFAULT_TIMEOUT_S = 60.0
"""For reading one picture; enlarging it takes as long as it takes."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands. Sent when it starts, after every batch of tiles and after every picture."""

    n_done: int
    """Pictures that are finished, one way or the other."""
    n_total: int
    n_failed: int
    tiles_done: int
    """Of the picture that is being enlarged."""
    tiles_total: int
    """Of that picture; 0 where there is none."""
    row: Row | None
    """Of the picture that was finished just now."""


OnProgress = Callable[[Progress], None]


def upscale(
    inputs: Inputs,
    out: str | Path,
    *,
    model: str | Path | Upscaler | None = None,
    scale: float = FACTOR,
    tile: int | None = None,
    batch_size: int | None = None,
    fidelity: float | None = None,
    colour_fix: ColourFix = "lowband",
    decode: Decode | None = None,
    seed: int | None = None,
    alpha: AlphaChoice = "bicubic",
    name: str | None = None,
    overwrite: bool = False,
    recursive: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    device: str = "cpu",
    half: bool = False,
    on_progress: OnProgress = lambda progress: None,
) -> Run:
    """Enlarge pictures by a model of super-resolution; one row per picture, in the order of the inputs.

    `inputs` are those of `beholder.score`. `out` is a folder, in which the tree of the inputs is kept, or a file name
    for a single picture. A result appears under its name when it is complete; one that is there already is skipped
    unless `overwrite`. A picture that can't be enlarged gets a row with `status` and `error`.

    `scale` is 1 to 8: the model makes a picture 4 times as large, Lanczos does the rest. `fidelity` in [0, 1] is how
    much of the difference to the input is put back (None: the model's own); at 1 its noise and JPEG blocks come back,
    too. `colour_fix` takes tones from the input, `alpha` says how transparency is enlarged. `tile` is how far tiles lie
    apart at most, in input pixels (None: three quarters of the model's own tile, the most that it can be). `decode` is
    `greedy`, `sample`, `soft` or `mixed` (None: the model's own); `seed` goes with `sample`. `name` is a template such
    as `{stem}_x{scale}.png`, whose ending chooses the format. A picture that takes longer than `timeout_s` to read gets
    status `timeout`, one that brings its decoder down `crashed`. `half` has the model computed in 16 bits,
    where the device helps. `model` may also be an `Upscaler`, whose device and precision are its own. The same picture,
    model, settings and device give the same bytes.

    Raises `UserError` (a ValueError) for anything that a person can put right and that concerns the whole run: nothing
    to enlarge, an unknown model, an option out of its range, an `out` that can't be written, no room left.
    """
    options = Options(scale, tile, batch_size, fidelity, colour_fix, decode, seed, alpha)
    _check_numbers(max_pixels, timeout_s)
    several = [inputs] if isinstance(inputs, str | Path) else inputs
    jobs = plan_outputs(list(map(str, several)), Path(out), template=name, scale=scale, recursive=recursive)
    _check_writable(Path(out))
    with Reader(max_pixels=max_pixels, timeout_s=timeout_s) as reader:
        upscaler = model if isinstance(model, Upscaler) else load_upscaler(model, device=device, half=half)
        method, tile_model = options.method(upscaler), options.tile_model(upscaler)
        text = {"beholder": _origin(upscaler, method, options)}
        rows: list[Row] = []

        def tell(tiles_done: int, tiles_total: int, row: Row | None = None) -> None:
            n_failed = sum(row.failed for row in rows)
            on_progress(Progress(len(rows), len(jobs), n_failed, tiles_done, tiles_total, row))

        start_s = time.monotonic()
        tell(0, 0)
        for job in jobs:
            if job.out.is_file() and not overwrite:
                row = Row(job.path, job.out, "skipped")
            else:
                row = enlarge_file(job, reader, tile_model, method, text=text, on_tiles=tell)
            rows.append(row)
            tell(0, 0, row)
    return Run(tuple(rows), time.monotonic() - start_s, upscaler.device, upscaler.name)


def _origin(upscaler: Upscaler, method: Method, options: Options) -> str:
    """What a result was made with, as JSON; it stands in the PNG."""
    decode = options.decode_of(upscaler)
    drawn = {"seed": options.seed or 0} if decode == "sample" else {}
    return json.dumps(
        {
            "version": __version__,
            "model": upscaler.name,
            "weights_sha256": upscaler.sha256,
            "precision": upscaler.precision,
            "scale": method.scale,
            "decode": decode,
            "fidelity": method.fidelity,
            "colour_fix": method.colour_fix,
            "alpha": method.alpha,
            "tile": method.spacing,
            **drawn,
        }
    )


def _check_numbers(max_pixels: int, timeout_s: float) -> None:
    if max_pixels < 1:
        raise UserError(f"--max-pixels {max_pixels}: allowed are numbers from 1")
    if not 0 < timeout_s <= MAX_TIMEOUT_S:
        raise UserError(f"--timeout {timeout_s:g}: allowed are seconds above 0, {MAX_TIMEOUT_S:,} at most")


def _check_writable(out: Path) -> None:
    """Before the model is loaded, which takes seconds; nothing is made yet."""
    folder = out
    while not folder.exists():
        folder = folder.parent
    if folder == out and out.is_file():
        folder = out.parent
    if not folder.is_dir():
        raise UserError(f"can't write below {folder}: it is a file. Name a folder with -o")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"can't write in {folder}: no permission. Name another folder with -o")
