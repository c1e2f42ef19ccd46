"""A picture of one face, from a picture file or as a few frames of a video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.extract.limits import MAX_PIXELS, ExtractError, check_file
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError

VIDEO = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp")


def read_frames(source: Path | Image.Image, frames: int) -> list[NDArray[np.uint8]]:
    """RGB frames (height, width, 3): `frames` of a video, evenly spread over it, or the one of a picture.

    Raises ExtractError for a file that can't be read, more than 50 megapixels, a side under 32 px, a video of more than
    300 s; UserError where a video needs the package `av` and it is missing.
    """
    if isinstance(source, Path):
        check_file(source)
        if source.suffix.lower() in VIDEO:
            from beholder.extract.video import frames_of

            return frames_of(source, frames)
    try:
        return [open_image(source, max_pixels=MAX_PIXELS).rgb]
    except ImageError as error:
        name = source if isinstance(source, Path) else "the picture"
        raise ExtractError(f"{name}: {error}") from error


def square(rgb: NDArray[np.uint8], side: int) -> Image.Image:
    """The square in the middle, `side` pixels wide, antialiased."""
    height, width = rgb.shape[:2]
    edge = min(height, width)
    left, top = (width - edge) // 2, (height - edge) // 2
    middle = Image.fromarray(rgb).crop((left, top, left + edge, top + edge))
    return middle if edge == side else middle.resize((side, side), Image.Resampling.BICUBIC)
