"""Find shots of one scene: re-saved, brightened, blurred, or taken again from almost the same place.

A perceptual hash finds copies only, so two cheap steps instead. First a global description (gradient directions in
4 x 4 cells, colours in 8 x 8 cells) names each picture's nearest others. Then their fine structure is laid over each
other at every shift with at least half of the frame in common. Spectra are half whitened and plain rows and columns
removed first: without that any two horizons match.

Left out, and why: mirrored, rotated and strongly zoomed copies; they need local features, which need OpenCV.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Floats = NDArray[np.float32]
Thumbnails = NDArray[np.uint8]
"""(n, 64, 64, 3) RGB."""

SIDE = 64
"""Thumbnail side in pixels; pictures are squeezed to a square, which both shots of a scene suffer alike."""
SAME_SCENE = 0.17
"""Agreement from which two pictures are called shots of one scene.
Judged by eye on 2,150 photos of BIQ2021: 34 pairs agree by 0.2 or more, about 9 in 10 of them rightly; 12 more lie
between 0.17 and 0.2, most of them two horizons or two figures. That errs on the safe side: a false pair only ties two
pictures to one part, a missed one puts a scene on both sides."""
_LIKE = 0.45
"""Cosine of the global descriptions below which fine structure is not compared."""
_NEAREST = 50
"""Others of each picture that are compared at most, so that the cost grows with n, not n squared."""
_TILE = 1024
"""Pictures worked on at once: their spectra are 68 MB, so memory does not grow with n beyond the thumbnails."""
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class Pair:
    """Two rows whose pictures show one scene."""

    first: int
    second: int
    """Row indices, `first` < `second`."""
    agreement: float
    """0 to 1: 1 for copies, from `SAME_SCENE` for shots of one scene."""


def thumbnails(paths: Sequence[Path], workers: int) -> tuple[Thumbnails, dict[int, str]]:
    """Upright thumbnails, and the reason per row that can't be read (black among the thumbnails)."""
    small = np.zeros((len(paths), SIDE, SIDE, 3), dtype=np.uint8)
    failed: dict[int, str] = {}
    with ThreadPoolExecutor(workers) as pool:
        for row, found in enumerate(pool.map(_thumbnail, paths)):
            if isinstance(found, str):
                failed[row] = found
            else:
                small[row] = found
    return small, failed


def _thumbnail(path: Path) -> NDArray[np.uint8] | str:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG decodes 4 to 8 times faster at reduced size
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(upright.resize((SIDE, SIDE), Image.Resampling.BOX))
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        return f"{type(error).__name__}: {error}"  # PIL reports a broken PNG as SyntaxError


def find_scenes(small_NHWC: Thumbnails, threshold: float = SAME_SCENE) -> list[Pair]:
    """Pairs of rows that show one scene, strongest first. `small_NHWC` as `thumbnails` gives it."""
    tiles = [small_NHWC[start : start + _TILE] for start in range(0, len(small_NHWC), _TILE)]
    pairs = _candidates(np.concatenate([_describe(_unit(tile)) for tile in tiles]))
    agreement = np.zeros(len(pairs), dtype=np.float32)
    for a, b in np.unique(pairs // _TILE, axis=0):
        rows = np.flatnonzero((pairs // _TILE == (a, b)).all(axis=1))
        first = _structure(_unit(tiles[a]) @ _LUMA)
        second = first if a == b else _structure(_unit(tiles[b]) @ _LUMA)
        agreement[rows] = _compare(first, second, pairs[rows] % _TILE)
    found = [Pair(int(a), int(b), min(1.0, float(v))) for (a, b), v in zip(pairs, agreement, strict=True)]
    return sorted((p for p in found if p.agreement >= threshold), key=lambda p: (-p.agreement, p.first, p.second))


def _unit(small_NHWC: Thumbnails) -> Floats:
    return small_NHWC.astype(np.float32) / np.float32(255)


def _describe(small_NHWC: Floats) -> Floats:
    """(n, 320): both halves centred and of length sqrt(1/2), so a dot product is their mean correlation."""
    n = len(small_NHWC)
    luma = small_NHWC @ _LUMA
    down, right = np.gradient(luma, axis=(1, 2))
    strength = np.hypot(right, down)
    bin_at = np.mod(np.arctan2(down, right), np.pi) / np.pi * 8
    near = np.floor(bin_at).astype(np.int64) % 8
    far_share = bin_at - np.floor(bin_at)
    directions = []
    for k in range(8):
        weight = strength * ((near == k) * (1 - far_share) + ((near + 1) % 8 == k) * far_share)
        directions.append(weight.reshape(n, 4, 16, 4, 16).sum(axis=(2, 4)))
    shapes = np.sqrt(np.stack(directions, axis=-1)).reshape(n, -1)
    colours = small_NHWC.reshape(n, 8, 8, 8, 8, 3).mean(axis=(2, 4)).reshape(n, -1)
    both = np.concatenate([_centred(shapes), _centred(colours)], axis=1) * np.float32(np.sqrt(0.5))
    described: Floats = both.astype(np.float32)
    return described


def _centred(rows: Floats) -> Floats:
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = (rows / np.maximum(length, 1e-6)).astype(np.float32)
    return unit


def _candidates(described: Floats, block: int = 512) -> NDArray[np.int64]:
    """(k, 2) row pairs whose descriptions are close: each row with its nearest others."""
    n = len(described)
    keep = min(_NEAREST, n - 1)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, n, block) if keep > 0 else ():
        like = described[start : start + block] @ described.T
        rows = np.arange(len(like))
        like[rows, start + rows] = -1  # not itself
        nearest = np.argpartition(-like, keep - 1, axis=1)[:, :keep]
        close = np.take_along_axis(like, nearest, axis=1) >= _LIKE
        found.append(np.stack([np.repeat(start + rows, close.sum(axis=1)), nearest[close]], axis=1))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _structure(luma_NHW: Floats) -> NDArray[np.complex64]:
    """(n, 128, 65) half-whitened spectra of contrast-normalised luma, unit energy, padded so that shifts don't wrap."""
    at = np.arange(SIDE)
    blur = np.exp(-0.5 * ((at[:, None] - at) / 4.0) ** 2)
    blur = (blur / blur.sum(axis=1, keepdims=True)).astype(np.float32)
    detail = luma_NHW - blur @ luma_NHW @ blur.T
    contrast = np.sqrt(blur @ (detail * detail) @ blur.T)
    field = detail / (contrast + 0.02)
    field = field - field.mean(axis=1, keepdims=True)
    field = field - field.mean(axis=2, keepdims=True)
    spectra = np.empty((len(luma_NHW), 2 * SIDE, SIDE + 1), dtype=np.complex64)
    for row, plane in enumerate(field):
        spectrum = np.fft.rfft2(plane, s=(2 * SIDE, 2 * SIDE))
        size = np.abs(spectrum)
        spectrum = spectrum / np.sqrt(size + 1e-3 * size.max() + 1e-9)
        energy = np.fft.irfft2(np.abs(spectrum) ** 2)[0, 0]
        spectra[row] = spectrum / np.sqrt(energy + 1e-12)
    return spectra


def _compare(
    firsts: NDArray[np.complex64], seconds: NDArray[np.complex64], pairs: NDArray[np.int64], block: int = 256
) -> Floats:
    """Highest correlation of each pair over all shifts that keep at least half of the frame in common."""
    frame = np.fft.rfft2(np.ones((SIDE, SIDE)), s=(2 * SIDE, 2 * SIDE))
    common = np.fft.irfft2(np.abs(frame) ** 2) >= 0.5 * SIDE * SIDE
    best = np.zeros(len(pairs), dtype=np.float32)
    for start in range(0, len(pairs), block):
        first, second = pairs[start : start + block].T
        surface = np.fft.irfft2(firsts[first] * np.conj(seconds[second]), axes=(1, 2))
        best[start : start + block] = surface[:, common].max(axis=1)
    return best
