"""Render the example pictures: six scenes, clean and damaged. `python examples/render.py` rewrites the folder.

Needs NumPy and Pillow and about two minutes on one core. Seeded: the same pixels every time.
"""

from pathlib import Path

import numpy as np
import raytrace
import scenes
from PIL import Image, ImageFilter

FOLDER = Path(__file__).parent

SCENES = {
    "hills": scenes.hills,
    "sea": scenes.sea,
    "city": scenes.city,
    "forest": scenes.forest,
    "spheres": raytrace.spheres,
    "fruit": raytrace.fruit,
}


def blurred(image, rng):
    """Out of focus."""
    return image.filter(ImageFilter.GaussianBlur(4))


def shaken(image, rng):
    """Camera shake: 21 pixels along a slanted line."""
    pixels = np.asarray(image, dtype=float)
    moved = [np.roll(pixels, (round(0.35 * step), step), axis=(0, 1)) for step in range(-10, 11)]
    return Image.fromarray(np.mean(moved, axis=0).round().astype(np.uint8))


def noisy(image, rng):
    """High ISO: deviation 28 of 255 in each channel."""
    pixels = np.asarray(image) + rng.normal(0, 28, (image.height, image.width, 3))
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


def dark(image, rng):
    """Three and a half stops too dark."""
    linear = (np.asarray(image) / 255) ** 2.2 * 2**-3.5
    return Image.fromarray((linear ** (1 / 2.2) * 255).round().astype(np.uint8))


def overexposed(image, rng):
    """Three stops too bright, clipped."""
    linear = ((np.asarray(image) / 255) ** 2.2 * 8).clip(0, 1)
    return Image.fromarray((linear ** (1 / 2.2) * 255).round().astype(np.uint8))


def lowres(image, rng):
    """A sixth of the pixels on each side, enlarged again."""
    small = image.resize((image.width // 6, image.height // 6), Image.Resampling.BICUBIC)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def banded(image, rng):
    """Six levels per channel."""
    return Image.fromarray((np.round(np.asarray(image) / 255 * 5) * 51).astype(np.uint8))


def overcompressed(image, rng):
    """Pixels unchanged; `QUALITY` does the damage."""
    return image


DAMAGED = (
    ("hills", blurred),
    ("hills", banded),
    ("hills", overexposed),
    ("sea", overcompressed),
    ("sea", lowres),
    ("city", shaken),
    ("city", noisy),
    ("forest", dark),
    ("forest", lowres),
    ("forest", noisy),
    ("spheres", overcompressed),
    ("spheres", blurred),
    ("fruit", overexposed),
    ("fruit", dark),
)

QUALITY = {overcompressed: 8, noisy: 80}
"""JPEG quality where it is not 92. Noise hardly compresses, hence 80."""


def main():
    """Write `<scene>.jpg` and `<scene>_<damage>.jpg` beside this script."""
    clean = {name: scene(np.random.default_rng(7)) for name, scene in SCENES.items()}
    for name, image in clean.items():
        image.save(FOLDER / f"{name}.jpg", quality=92, optimize=True)
    for name, damage in DAMAGED:
        image = damage(clean[name], np.random.default_rng(8))
        quality = QUALITY.get(damage, 92)
        image.save(FOLDER / f"{name}_{damage.__name__}.jpg", quality=quality, optimize=True)


if __name__ == "__main__":
    main()
