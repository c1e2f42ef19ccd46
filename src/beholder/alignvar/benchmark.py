"""Pictures to be judged by: crops of true pictures and their LR copies, as files (section 11 of our spec).

Either random crops of photos, degraded, as of DIV2K; or the centre of each, where `inputs` are photographs of lower
resolution, as of RealSR and DRealSR.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from beholder.alignvar.config import FACTOR
from beholder.alignvar.degrade import Preset, degrade
from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.evaluate.restored_pairs import match_two
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError

TRUTH, INPUT, SETTINGS_FILE = "truth", "input", "crops.json"

RGB = NDArray[np.uint8]


@dataclass(frozen=True)
class CropSettings:
    """What decides the crops; a folder holds those of one setting."""

    photos: str
    """Name of the folder."""
    n: int | None
    """Random crops over all photos, as many of each; None: the centre of each."""
    side: int
    """Of the true picture in pixels."""
    degradation: Preset | None
    """None where the LR pictures are photographs."""
    seed: int


def write_crops(
    photos: Path,
    out: Path,
    *,
    n: int | None = 3000,
    side: int = 512,
    degradation: Preset = "realesrgan-mild",
    inputs: Path | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[int, int]:
    """Fill `out/truth` and `out/input` with PNG files of the same names; what is there already is kept.

    The same photos, settings and seed give the same pixels, whatever was there. `inputs` holds LR photographs of the
    photos, exactly a quarter of their size; the centre of each pair is taken then. Gives the number of crops, and of
    photos left out because `side` does not fit into them. Raises UserError for a photo that can't be read, another
    size of an input, or a folder that holds other crops.
    """
    if side < FACTOR or side % FACTOR:
        raise UserError(f"--side {side}: allowed are multiples of {FACTOR}")
    if n is not None and inputs is not None:
        raise UserError("--crops and --input exclude each other: of pairs of photographs the centre is taken")
    settings = CropSettings(photos.resolve().name, n, side, None if inputs else degradation, seed)
    pairs = match_two(photos, inputs)
    sizes = [_size(photos / photo) for photo, _ in pairs]
    large = [pair for pair, size in zip(pairs, sizes, strict=True) if min(size) >= side]
    if not large:
        raise UserError(f"no photo in {photos} has sides of {side} px; take a smaller --side")
    _claim(out, settings)
    total = len(large) if n is None else n
    for done, (name, true, small) in enumerate(_crops(photos, inputs, large, settings), start=1):
        for folder, picture in ((TRUTH, true), (INPUT, small)):
            _write(out / folder / f"{name}.png", picture)
        on_progress(done, total)
    return total, len(pairs) - len(large)


def _crops(
    photos: Path, inputs: Path | None, pairs: list[tuple[str, str | None]], settings: CropSettings
) -> Iterator[tuple[str, RGB, RGB]]:
    side = settings.side
    read, rgb = "", np.empty((0, 0, 3), np.uint8)
    for index in range(len(pairs) if settings.n is None else settings.n):
        photo, small_name = pairs[index if settings.n is None else index * len(pairs) // settings.n]
        if photo != read:
            read, rgb = photo, _open(photos / photo)
        height, width, _ = rgb.shape
        rng = np.random.default_rng((settings.seed, index))
        stem = photo.rpartition(".")[0]
        if settings.n is None:
            top, left = ((length - side) // 2 // FACTOR * FACTOR for length in (height, width))
            name = stem
        else:
            top, left = (int(rng.integers(length - side + 1)) for length in (height, width))
            name = f"{stem}_{index:05d}"
        true = np.ascontiguousarray(rgb[top : top + side, left : left + side])
        if small_name is None or inputs is None:
            assert settings.degradation is not None
            yield name, true, _degraded(true, settings.degradation, int(rng.integers(2**63)))
            continue
        small = _open(inputs / small_name)
        if (small.shape[0], small.shape[1]) != (height // FACTOR, width // FACTOR):
            raise UserError(
                f"{inputs / small_name} has {small.shape[1]} x {small.shape[0]} pixels and {photo} has {width} x "
                f"{height}; an input must have a quarter of each side"
            )
        y, x, length = top // FACTOR, left // FACTOR, side // FACTOR
        yield name, true, np.ascontiguousarray(small[y : y + length, x : x + length])


def _degraded(true: RGB, preset: Preset, seed: int) -> RGB:
    hr = torch.from_numpy(true).permute(2, 0, 1)[None].float() / 255
    lr = degrade(hr, preset, [seed])[0].permute(1, 2, 0)
    return (lr * 255).round().to(torch.uint8).numpy()


def _claim(out: Path, settings: CropSettings) -> None:
    """Refuse a folder of other crops, which these would mix with."""
    file = out / SETTINGS_FILE
    wanted = json.dumps(asdict(settings), indent=2) + "\n"
    if file.is_file() and file.read_text(encoding="utf-8") != wanted:
        raise UserError(f"{out} holds other crops, see {file}. Name another folder with -o")
    out.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        temporary.write_text(wanted, encoding="utf-8")


def _write(file: Path, picture: RGB) -> None:
    if file.is_file():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")


def _size(file: Path) -> tuple[int, int]:
    try:
        with Image.open(file) as image:
            return image.size
    except OSError as error:
        raise UserError(f"{file} can't be read: {error}") from None


def _open(file: Path) -> RGB:
    try:
        return open_image(file).rgb
    except ImageError as error:
        raise UserError(f"{file} can't be read: {error}") from None
