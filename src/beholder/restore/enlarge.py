"""One picture, from its pixels to bands of rows of the result.

The model runs once over all tiles. Its blended rows go to an unnamed file on disk in 16 bits, while they are compared
with the input on the input's grid; then they come back, corrected and resized, row by row. So memory holds the input,
one row of tiles, and a few arrays of the input's size, but never the result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Literal

import numpy as np

from beholder.restore.finish import ColourFix, Moments, correction, upwards
from beholder.restore.original import Original
from beholder.restore.resample import BICUBIC, LANCZOS, Reader, Rows, resized, whole
from beholder.restore.tiles import FACTOR, Pixels, TileModel, enlarged, n_tiles, unit
from beholder.restore.transparent import filled

AlphaChoice = Literal["bicubic", "model"]
"""How transparency is enlarged."""


@dataclass(frozen=True)
class Method:
    """How a picture is enlarged: everything its pixels depend on but the model."""

    tile: int
    """Side of the model's tile in input pixels."""
    spacing: int
    """How far tiles lie apart at most, in input pixels; three quarters of `tile` at most."""
    batch_size: int
    """Tiles that the model gets at once."""
    scale: float
    """Output pixels per input pixel along each side: four by the model, then Lanczos."""
    fidelity: float
    """0 to 1: how much of the difference to the input is put back, see `finish`."""
    colour_fix: ColourFix
    alpha: AlphaChoice

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the result.

        >>> Method(16, 12, 8, 2.5, 1.0, "lowband", "bicubic").size(101, 33)
        (252, 82)
        """
        return round(self.scale * width), round(self.scale * height)

    def n_tiles(self, original: Original) -> int:
        """Tiles that the model will be given for a picture."""
        width, height = original.size
        passes = 2 if original.alpha is not None and self.alpha == "model" and not _is_constant(original.alpha) else 1
        return passes * n_tiles(height, width, self.tile, self.spacing)


def enlarge(
    original: Original,
    model: TileModel,
    method: Method,
    *,
    scratch: Path | None = None,
    on_tiles: Callable[[int], None] = lambda n: None,
) -> Generator[Pixels, None, None]:
    """Bands of rows of the result: (rows, width, channels), colour and then alpha, of the type of the picture.

    `scratch` is a folder with room for the model's output, two bytes per value; the system's own if not given.
    `on_tiles` is told of each batch how many tiles it had.
    """
    dtype = original.colour.dtype
    size = method.size(*original.size)
    colour, alpha = original.colour, original.alpha
    if alpha is None:
        yield from (_stored(band, dtype) for band in _by_model(colour, model, method, scratch, on_tiles))
        return
    rows = _by_model(filled(colour, alpha), model, method, scratch, on_tiles)
    if method.alpha == "model" and not _is_constant(alpha):
        planes = _by_model(alpha, model, method, scratch, on_tiles)
    else:
        planes = resized([unit(alpha)], alpha.shape[0], size, BICUBIC)
    opacity = Reader(planes)
    for band in rows:
        yield _stored(np.concatenate([band, opacity.take(len(band))], axis=2), dtype)


def scratch_bytes(original: Original, method: Method) -> int:
    """Room on disk that the work on a picture takes, without the result."""
    width, height = original.size
    n_channels = original.colour.shape[2] + (original.alpha is not None and method.alpha == "model")
    return int(2 * FACTOR * width * FACTOR * height * n_channels)


def _by_model(
    pixels: Pixels, model: TileModel, method: Method, scratch: Path | None, on_tiles: Callable[[int], None]
) -> Iterator[Rows]:
    """Bands of the finished picture at its final size, float32, here and there a little outside [0, 1]."""
    height, width, n_channels = pixels.shape
    tiles = enlarged(
        pixels, model, tile=method.tile, spacing=method.spacing, batch_size=method.batch_size, on_tiles=on_tiles
    )
    with closing(_Spool(FACTOR * width, n_channels, scratch)) as spool:
        moments = Moments() if method.colour_fix == "adain" else None
        passing = spool.through(tiles)
        if moments is not None:
            passing = moments.through(passing)
        reduced = whole(resized(passing, FACTOR * height, (width, height), BICUBIC))
        correct = correction(
            unit(pixels), reduced, colour_fix=method.colour_fix, fidelity=method.fidelity, moments=moments
        )
        del reduced
        finished = (correct.gain * spool.take(len(gap)) + correct.offset + gap for gap in upwards(correct.gap))
        if method.scale == FACTOR:
            yield from finished
        else:
            clipped = (np.clip(band, 0, 1) for band in finished)
            yield from resized(clipped, FACTOR * height, method.size(width, height), LANCZOS)


class _Spool:
    """Rows in [0, 1] that wait on disk as 16-bit integers."""

    def __init__(self, width: int, n_channels: int, folder: Path | None) -> None:
        self._shape = (width, n_channels)
        self._file: IO[bytes] = TemporaryFile(dir=folder)  # noqa: SIM115 (closed by `close`; has no name)

    def through(self, bands: Iterable[Rows]) -> Iterator[Rows]:
        """Keep the bands and pass them on; at the end the first row is the next to take."""
        for band in bands:
            self._file.write(_stored(band, np.dtype(np.uint16)).tobytes())
            yield band
        self._file.seek(0)

    def take(self, n_rows: int) -> Rows:
        """The next rows."""
        n_bytes = 2 * n_rows * self._shape[0] * self._shape[1]
        return unit(np.frombuffer(self._file.read(n_bytes), np.uint16).reshape(n_rows, *self._shape))

    def close(self) -> None:
        self._file.close()


def _stored(rows: Rows, dtype: np.dtype[np.uint8] | np.dtype[np.uint16]) -> Pixels:
    scaled = np.clip(rows, 0, 1) * np.float32(np.iinfo(dtype).max)
    stored: Pixels = np.rint(scaled, out=scaled).astype(dtype)
    return stored


def _is_constant(alpha: Pixels) -> bool:
    return bool(alpha.min() == alpha.max())
