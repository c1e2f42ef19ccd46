"""Cut a picture into overlapping tiles, enlarge each, and blend them: one row of tiles in memory at a time.

Along each side the tiles lie evenly, the first and the last flush with the picture. A tile's share in a pixel is a Hann
window over the tile without its outermost pixels, which know least of their surroundings, divided by the sum of all
windows there; so shares always add up to one and change smoothly. The window is a product of one along each side, so
the sums are, too, and rows can be finished one row of tiles after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beholder.restore.resample import Rows

FACTOR = 4
"""How many times larger a model makes a tile, along each side."""

EDGE = 1
"""Input pixels at each side of a tile that count only where no other tile covers them."""

TileModel = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""RGB tiles (n, tile, tile, 3) in [0, 1] -> (n, 4 tile, 4 tile, 3) in [0, 1], each by itself, whatever its batch."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""(height, width, channels), as stored."""


@dataclass(frozen=True)
class Grid:
    """Where tiles lie, along one side of a picture."""

    length: int
    """Of the side, in input pixels; at least `tile`."""
    tile: int
    starts: tuple[int, ...]

    def shares(self) -> list[Rows]:
        """Of each tile in the output pixels that it covers: float32 (4 tile), adding up to 1 in each pixel."""
        size, edge = FACTOR * self.tile, FACTOR * EDGE
        window = np.full(size, 1e-9)  # what no other tile covers has to add up to 1 too
        inner = size - 2 * edge
        window[edge:-edge] = np.sin(np.pi * (np.arange(inner) + 0.5) / inner) ** 2
        total = np.zeros(FACTOR * self.length)
        for start in self.starts:
            total[FACTOR * start : FACTOR * start + size] += window
        return [(window / total[FACTOR * start : FACTOR * start + size]).astype(np.float32) for start in self.starts]


def grid(length: int, tile: int, spacing: int) -> Grid:
    """Tiles over `length` pixels, at most `spacing` apart.

    >>> grid(40, tile=16, spacing=12).starts, grid(16, tile=16, spacing=12).starts
    ((0, 12, 24), (0,))
    """
    n_more = -(-(length - tile) // spacing)
    return Grid(length, tile, tuple(round(i * (length - tile) / n_more) for i in range(n_more + 1)) if n_more else (0,))


def n_tiles(height: int, width: int, tile: int, spacing: int) -> int:
    """How many tiles a picture takes."""
    return len(grid(max(height, tile), tile, spacing).starts) * len(grid(max(width, tile), tile, spacing).starts)


def enlarged(
    pixels: Pixels,
    model: TileModel,
    *,
    tile: int,
    spacing: int,
    batch_size: int,
    on_tiles: Callable[[int], None] = lambda n: None,
) -> Iterator[Rows]:
    """Bands of rows of the picture, four times as large: float32 (rows, 4 width, channels) in [0, 1].

    `pixels` are uint8 or uint16 of any size from 1 x 1, of 1 or 3 channels; grey goes through the model as RGB and
    comes back as the mean of its channels. A picture smaller than a tile is padded by reflection. `spacing` is at most
    three quarters of `tile`. `on_tiles` is told of each batch how many tiles it had.
    """
    height, width, n_channels = pixels.shape
    padded = _at_least(pixels, tile)
    down, across = grid(padded.shape[0], tile, spacing), grid(padded.shape[1], tile, spacing)
    size, n_left = FACTOR * tile, FACTOR * height
    shares_down, shares_across = down.shares(), across.shares()
    waiting = np.zeros((size, FACTOR * across.length, n_channels), np.float32)
    for i, top in enumerate(down.starts):
        strip = unit(padded[top : top + tile])
        row = np.zeros_like(waiting)
        for first in range(0, len(across.starts), batch_size):
            starts = across.starts[first : first + batch_size]
            batch = np.stack([strip[:, start : start + tile] for start in starts])
            large = model(np.repeat(batch, 3, axis=3) if n_channels == 1 else batch)
            if n_channels == 1:
                large = large.mean(axis=3, keepdims=True)
            for start, share, pixel in zip(starts, shares_across[first:], large, strict=False):
                row[:, FACTOR * start : FACTOR * start + size] += share[:, None] * pixel
            on_tiles(len(starts))
        waiting += shares_down[i][:, None, None] * row
        following = down.starts[i + 1] if i + 1 < len(down.starts) else down.length
        n_ready = FACTOR * (following - top)
        band = waiting[: min(n_ready, n_left), : FACTOR * width]
        if len(band):
            yield np.clip(band, 0, 1)
        n_left -= len(band)
        waiting = np.concatenate([waiting[n_ready:], np.zeros((n_ready, *waiting.shape[1:]), np.float32)])


def unit(pixels: Pixels) -> Rows:
    """Stored values as float32 in [0, 1]; white is the largest value of the type, whatever the picture holds.

    >>> unit(np.array([0, 255], np.uint8)).tolist(), unit(np.array([65535], np.uint16)).tolist()
    ([0.0, 1.0], [1.0])
    """
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def _at_least(pixels: Pixels, side: int) -> Pixels:
    """Padded below and to the right to `side` pixels at least, by reflection, or repetition where it lacks."""
    for axis in (0, 1):
        missing = side - pixels.shape[axis]
        if missing > 0:
            how = "reflect" if missing < pixels.shape[axis] else "edge"
            widths = [(0, missing) if other == axis else (0, 0) for other in range(pixels.ndim)]
            pixels = np.pad(pixels, widths, mode=how)  # type: ignore[call-overload]
    return pixels
