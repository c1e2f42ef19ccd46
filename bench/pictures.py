"""Pictures to measure with: cut from our own rendered examples, the same bytes every time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from record import ROOT

EXAMPLES = ROOT / "examples"

SIDES = (384, 512, 640, 900)
"""Longer sides of `mixed` pictures."""

ASPECTS = (1.0, 4 / 3, 3 / 2, 16 / 9)

QUALITIES = (75, 85, 92)
"""JPEG quality: web, camera standard, camera fine."""


def clean_examples() -> list[Path]:
    """The undamaged example scenes, sorted by name."""
    return sorted(path for path in EXAMPLES.glob("*.jpg") if "_" not in path.stem)


def squares(folder: Path, count: int, side: int = 512) -> list[Path]:
    """Write `count` square JPEGs, each a crop of an example at its own place and zoom, mirrored or not."""
    return _write(folder, ((seed, (side, side)) for seed in range(count)))


def photos(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Write `count` JPEGs of one size (width, height), cut from the examples as `squares` are."""
    return _write(folder, ((seed, size) for seed in range(count)))


def mixed(folder: Path, count: int) -> list[Path]:
    """Write `count` JPEGs of many sizes and shapes, upright and lying, as in a folder of photos."""
    sizes = []
    for seed in range(count):
        rng = np.random.default_rng((1, seed))
        long, aspect = int(rng.choice(SIDES)), float(rng.choice(ASPECTS))
        size = (long, round(long / aspect))
        sizes.append((seed, size if rng.random() < 0.7 else size[::-1]))
    return _write(folder, iter(sizes))


def links(folder: Path, files: Sequence[Path], count: int) -> Path:
    """Fill `folder` with `count` hard links to `files` in turn: many pictures at the price of a few."""
    folder.mkdir(parents=True)
    for i in range(count):
        os.link(files[i % len(files)], folder / f"{i:06d}.jpg")
    return folder


def panorama(path: Path, side: int = 10_000, *, progressive: bool = False) -> Path:
    """Write a square JPEG of `side` pixels (10,000: 100 megapixels), tiled with the examples."""
    canvas = Image.new("RGB", (side, side))
    tiles = [Image.open(file).convert("RGB") for file in clean_examples()]
    width, height = tiles[0].size
    for row, y in enumerate(range(0, side, height)):
        for column, x in enumerate(range(0, side, width)):
            canvas.paste(tiles[(row * 5 + column) % len(tiles)], (x, y))
    canvas.save(path, quality=85, progressive=progressive)
    return path


def _write(folder: Path, pictures: Iterator[tuple[int, tuple[int, int]]]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [Image.open(file).convert("RGB") for file in sorted(EXAMPLES.glob("*.jpg"))]
    paths = []
    for seed, size in pictures:
        rng = np.random.default_rng((0, seed))
        paths.append(folder / f"{seed:06d}.jpg")
        _crop(scenes[seed % len(scenes)], size, rng).save(paths[-1], quality=int(rng.choice(QUALITIES)))
    return paths


def _crop(scene: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    largest = min(scene.width / size[0], scene.height / size[1])
    scale = largest * rng.uniform(0.7, 1.0)
    width, height = scale * size[0], scale * size[1]
    left, top = rng.uniform(0, scene.width - width), rng.uniform(0, scene.height - height)
    box = (left, top, left + width, top + height)
    picture = scene.resize(size, Image.Resampling.BICUBIC, box=box)
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture
