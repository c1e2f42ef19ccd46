"""Write a PNG row by row, in 8 or 16 bits per channel, with colour profile and EXIF.

Pillow wants the whole picture in memory and writes 16 bits for grey only. Each row is filtered by `Up` (the difference
from the row above): enlarged pictures are smooth, and trying all filters costs more time than the bytes it saves.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import BinaryIO

import numpy as np

from beholder.restore.tiles import Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_SIDE = 2**31 - 1

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels -> colour type: grey, grey with alpha, RGB, RGBA."""

_UP = 2
_LEVEL = 4
_CHUNK_BYTES = 1 << 20


def write_png(
    file: BinaryIO,
    bands: Iterable[Pixels],
    *,
    size: tuple[int, int],
    n_channels: int,
    bits: int,
    icc: bytes | None = None,
    exif: bytes | None = None,
    text: Mapping[str, str] | None = None,
) -> None:
    """Write bands of rows, uint8 or uint16 (rows, width, channels) as `bits` says, as a PNG of `size` (width, height).

    `exif` begins with a TIFF header. `text` is Latin-1 by keyword. Raises ValueError where the rows do not add up.
    """
    width, height = size
    file.write(SIGNATURE)
    _write(file, b"IHDR", struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[n_channels], 0, 0, 0))
    if icc:
        _write(file, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    if exif:
        _write(file, b"eXIf", exif)
    for keyword, words in (text or {}).items():
        _write(file, b"tEXt", keyword.encode("latin-1") + b"\0" + words.encode("latin-1"))
    packer, waiting, n_rows = zlib.compressobj(_LEVEL, strategy=zlib.Z_FILTERED), b"", 0
    above = np.zeros((1, width * n_channels * bits // 8), np.uint8)
    for band in bands:
        rows = np.ascontiguousarray(band, dtype=band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), -1)
        filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = _UP
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])
        above, n_rows = rows[-1:].copy(), n_rows + len(rows)
        waiting += packer.compress(filtered.tobytes())
        if len(waiting) >= _CHUNK_BYTES:
            _write(file, b"IDAT", waiting)
            waiting = b""
    _write(file, b"IDAT", waiting + packer.flush())
    _write(file, b"IEND", b"")
    if n_rows != height:
        raise ValueError(f"{n_rows} rows came for a picture of {height}")


def _write(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
