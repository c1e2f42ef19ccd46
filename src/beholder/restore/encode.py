"""The output file: which formats, what each can hold, and a check of what was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from beholder.imaging import formats
from beholder.imaging.status import ImageError
from beholder.restore.original import Original
from beholder.restore.png import MAX_SIDE, write_png
from beholder.restore.tiles import Pixels


@dataclass(frozen=True)
class Encoding:
    """An output format, chosen by the ending of a name."""

    format: str
    max_side: int
    """Pixels."""
    alpha: bool
    deep: bool
    """Whether it holds 16 bits per channel."""
    max_exif: int
    """Bytes."""
    options: Mapping[str, Any]
    """For Pillow."""


TEMPLATE = "{stem}_x{scale}.png"
"""Of a result's name, where no other is given."""

_JPEG = Encoding("JPEG", 65_500, alpha=False, deep=False, max_exif=65_533, options={"quality": 95, "subsampling": 0})

ENCODINGS: dict[str, Encoding] = {
    ".png": Encoding("PNG", MAX_SIDE, alpha=True, deep=True, max_exif=2**31 - 1, options={}),
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".webp": Encoding("WebP", 16_383, alpha=True, deep=False, max_exif=2**31 - 1, options={"quality": 95, "method": 4}),
}
"""By ending. PNG is lossless and written row by row; the others need the whole output in memory."""


def check_holds(encoding: Encoding, original: Original, size: tuple[int, int]) -> str | None:
    """A note where the format holds less than the picture has. Raises `ImageError` where it can't hold it at all."""
    if original.alpha is not None and not encoding.alpha:
        raise ImageError("unsupported", f"{encoding.format} holds no transparency. Try: --name '{TEMPLATE}'")
    if max(size) > encoding.max_side:
        raise ImageError(
            "too_large",
            f"the result would be {size[0]} x {size[1]}; a side of a {encoding.format} has {encoding.max_side:,} "
            f"pixels at most. Try: --name '{TEMPLATE}'",
        )
    notes = []
    if original.colour.dtype == np.uint16 and not encoding.deep:
        notes.append("16-bit to 8-bit")
    if len(original.exif_bytes(*size) or b"") > encoding.max_exif:
        notes.append(f"EXIF too large for a {encoding.format}: left out")
    return "; ".join(notes) or None


def write_picture(
    path: Path,
    bands: Iterable[Pixels],
    encoding: Encoding,
    original: Original,
    size: tuple[int, int],
    text: Mapping[str, str],
) -> None:
    """Write bands of rows (rows, width, channels), colour and alpha, as a file, and read its header back.

    `size` is (width, height). Profile and EXIF are those of `original`; `text` goes into a PNG.
    """
    n_channels = original.colour.shape[2] + (original.alpha is not None)
    exif = original.exif_bytes(*size)
    if exif is not None and len(exif) > encoding.max_exif:
        exif = None
    if encoding.format == "PNG":
        with path.open("wb") as file:
            write_png(
                file,
                bands,
                size=size,
                n_channels=n_channels,
                bits=8 * original.colour.dtype.itemsize,
                icc=original.icc,
                exif=exif.removeprefix(b"Exif\0\0") if exif else None,
                text=text,
            )
    else:
        pixels = np.empty((size[1], size[0], n_channels), np.uint8)
        n_rows = 0
        for band in bands:
            pixels[n_rows : n_rows + len(band)] = band >> 8 if band.dtype == np.uint16 else band
            n_rows += len(band)
        metadata = {name: value for name, value in (("icc_profile", original.icc), ("exif", exif)) if value}
        Image.fromarray(pixels[:, :, 0] if n_channels == 1 else pixels).save(
            path, encoding.format, **encoding.options, **metadata
        )
    _check_written(path, encoding, size)


def _check_written(path: Path, encoding: Encoding, size: tuple[int, int]) -> None:
    file_class = formats.file_class(encoding.format)
    assert file_class is not None
    with path.open("rb") as file:
        written = file_class(file)
        if written.size != size:
            raise RuntimeError(f"{path} was written with {written.size} pixels, not {size}")
        written.verify()
