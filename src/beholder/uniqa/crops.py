"""The square crops that training sees. What scores a picture afterwards is the fixed grid of `views`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.errors import UserError
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError

Pixels = NDArray[np.uint8]


def resize_short(rgb: Pixels, short: int) -> Pixels:
    """The picture with its shorter side brought to `short` pixels, aspect ratio kept; bicubic, antialiased."""
    height, width, _ = rgb.shape
    if min(height, width) == short:
        return rgb
    scale = short / min(height, width)
    size = (max(short, round(width * scale)), max(short, round(height * scale)))
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def random_crop(rgb: Pixels, side: int, rng: np.random.Generator, *, mirror: bool) -> Pixels:
    """A random `side` x `side` window of a picture, mirrored half of the time if `mirror`.

    A picture with a shorter side below `side` is enlarged to it first.
    """
    if min(rgb.shape[:2]) < side:
        rgb = resize_short(rgb, side)
    height, width, _ = rgb.shape
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    window = rgb[top : top + side, left : left + side]
    return np.ascontiguousarray(window[:, ::-1] if mirror and rng.random() < 0.5 else window)


def centre_crop(rgb: Pixels, side: int) -> Pixels:
    """CLIP's own view: shorter side to `side`, then the middle `side` x `side`."""
    rgb = resize_short(rgb, side)
    height, width, _ = rgb.shape
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(rgb[top : top + side, left : left + side])


class Pictures:
    """Decoded training pictures by row; kept in memory if asked for, else decoded anew each time."""

    def __init__(self, paths: Sequence[str | Path], *, short: int | None = None, keep: bool = False) -> None:
        """`short` shrinks the shorter side of larger pictures to it."""
        self.paths, self.short = [str(path) for path in paths], short
        self._kept: dict[str, Pixels] | None = {} if keep else None

    @classmethod
    def decoded(cls, pictures: Mapping[str, Pixels]) -> Pictures:
        """Pictures that are in memory already, by path."""
        made = cls(list(pictures), keep=True)
        made._kept = dict(pictures)
        return made

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Pictures:
        """Some of the pictures, in the order given; what is kept in memory is shared."""
        part = Pictures([self.paths[row] for row in rows], short=self.short)
        part._kept = self._kept
        return part

    def __getitem__(self, row: int) -> Pixels:
        """sRGB, uint8 (height, width, 3). Raises UserError naming a picture that can't be read."""
        path = self.paths[row]
        if self._kept is not None and path in self._kept:
            return self._kept[path]
        try:
            rgb = open_image(path).rgb
        except ImageError as error:
            raise UserError(
                f"{path} can't be read: {error}. Leave its row out; `beholder data check` lists all such pictures"
            ) from None
        if self.short is not None and min(rgb.shape[:2]) > self.short:
            rgb = resize_short(rgb, self.short)
        if self._kept is not None:
            self._kept[path] = rgb
        return rgb
