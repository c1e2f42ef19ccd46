"""A picture file as it is: pixels in their own depth and colour space, transparency, colour profile, EXIF.

`imaging.open` shows a picture as people see it, in eight bits over white; here nothing is given up that the output can
hold. Only what it can't hold (CMYK, Lab, palettes, one bit) is turned into RGB or grey.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from beholder.imaging.colour import to_srgb
from beholder.imaging.open import UPRIGHT, decoding, is_deep, open_header, open_regular, orientation_of
from beholder.imaging.sources import open_elsewhere
from beholder.imaging.status import ImageError
from beholder.restore.tiles import Pixels

MIN_SIDE = 16
"""Pixels of the shorter side at least; less is too little to go by."""

MAX_SIDE = 65_535
"""Pixels of the longer side at most: one row of tiles is in memory, which of this width has 200 MB, several times."""

STRUCTURE_TAGS = frozenset(
    {
        *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284, 288, 289),
        *(290, 291, 292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337),
        *(338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
        *(700, 33723, 34377, 34675, 37724),
    }
)
"""EXIF and TIFF tags that say how the old file was laid out, orientation (274) among them, or hold other metadata."""

_EXIF_IFD, _PIXEL_WIDTH, _PIXEL_HEIGHT = 0x8769, 0xA002, 0xA003


@dataclass(frozen=True)
class Original:
    """A decoded picture, upright."""

    colour: Pixels
    """(height, width, 3) RGB or (height, width, 1) grey; uint8, or uint16 where the file has more than eight bits."""
    alpha: Pixels | None
    """(height, width, 1), not premultiplied, of the same type."""
    icc: bytes | None = None
    """Colour profile of these pixels; None means sRGB."""
    exif: Image.Exif | None = None
    """Without orientation and what else the pixels have made void."""
    note: str | None = None
    """What was done that a person may want to know; joined by `; `."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.colour.shape[1], self.colour.shape[0]

    def exif_bytes(self, width: int, height: int) -> bytes | None:
        """EXIF for a picture of another size, with the six bytes `Exif` in front; None where there is none."""
        if not self.exif:
            return None
        details = self.exif.get_ifd(_EXIF_IFD) if _EXIF_IFD in self.exif else {}
        for tag, value in ((_PIXEL_WIDTH, width), (_PIXEL_HEIGHT, height)):
            if tag in details:
                details[tag] = value
        return self.exif.tobytes()


def read_original(path: str, *, max_pixels: int) -> Original:
    """Read a picture file, upright. Raises `ImageError` with a status for everything that can be wrong with it."""
    try:
        with open_elsewhere(path) or open_regular(path) as file:
            image, notes = open_header(
                file, os.path.splitext(path)[1].lower(), max_pixels=max_pixels, min_side=MIN_SIDE
            )
            if max(image.size) > MAX_SIDE:
                raise ImageError(
                    "too_large", f"{image.width} x {image.height}; a side has {MAX_SIDE:,} pixels at most. Cut it up"
                )
            deep = is_deep(image) and image.mode in ("RGB", "RGBA", "LA")
            with decoding(image.format or "picture"):
                image.load()
            pixels = _deep_pixels(file, image.mode) if deep else None
    except ImageError:
        raise
    except OSError as err:
        raise ImageError("unreadable", f"reading failed: {err.strerror or err}") from err
    return _original(image, pixels, notes)


def from_image(image: Image.Image) -> Original:
    """A Pillow image as a picture file of its mode would be read; it stays as it is.

    Raises `ImageError` for a mode that is not enlarged.
    """
    copied = image.copy()
    if exif := image.getexif():
        copied.info["exif"] = exif.tobytes()
    return _original(copied, None, [])


def _original(image: Image.Image, pixels: Pixels | None, notes: list[str | None]) -> Original:
    orientation, orientation_note = orientation_of(image)
    icc = image.info.get("icc_profile") or None
    exif, exif_note = _kept_exif(image)
    if pixels is None:
        image, icc, colour_note = _plain(image, icc)
        pixels = _as_array(image)
        notes.append(colour_note)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if pixels.dtype == np.uint16 and pixels.shape[2] in (1, 3) and "transparency" in image.info:
        seen = (pixels != np.array(image.info["transparency"], np.uint16)).any(axis=2, keepdims=True)
        pixels = np.concatenate([pixels, seen * np.uint16(65535)], axis=2)
    pixels = _upright(pixels, orientation)
    has_alpha = pixels.shape[2] in (2, 4)
    colour: Pixels = np.ascontiguousarray(pixels[:, :, : pixels.shape[2] - has_alpha])  # type: ignore[assignment]
    alpha: Pixels | None = np.ascontiguousarray(pixels[:, :, -1:]) if has_alpha else None  # type: ignore[assignment]
    notes += [orientation_note, exif_note]
    return Original(colour, alpha, icc, exif, "; ".join(dict.fromkeys(note for note in notes if note)) or None)


def _as_array(image: Image.Image) -> Pixels:
    if image.mode.startswith("I"):
        return np.asarray(image).astype(np.uint16)
    return np.array(image, np.uint8)


def _deep_pixels(file: BinaryIO, mode: str) -> Pixels:
    """16-bit colour, which Pillow reads as eight bits."""
    import cv2  # takes a third of a second, for the few who need it

    file.seek(0)
    pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    order = {"RGB": [2, 1, 0], "RGBA": [2, 1, 0, 3], "LA": [0, 3]}[mode]
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] <= max(order):
        raise ImageError("unsupported", "16-bit colour in a form that is not read. Export it as a 16-bit PNG")
    return pixels[:, :, order].astype(np.uint16)


def _plain(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, bytes | None, str | None]:
    """In one of the modes L, LA, RGB, RGBA and I;16, with the profile that is then right, and a note."""
    mode = image.mode
    if mode.startswith("I"):
        low, high = image.getextrema()
        if low < 0 or high > 65535:  # type: ignore[operator]
            raise ImageError(
                "unsupported",
                f"integer picture with values from {low} to {high}; allowed is 0 to 65535. Convert it to 8 or 16 bits",
            )
        return image, icc, None
    if mode == "F":
        raise ImageError("unsupported", "floating-point pictures are not enlarged. Convert it to 16 bits")
    if mode in ("CMYK", "LAB", "YCbCr", "HSV"):
        if mode in ("YCbCr", "HSV"):
            return image.convert("RGB"), icc, None
        converted, note = to_srgb(image, icc)
        return converted, None, "; ".join(filter(None, (f"{mode} to sRGB", note)))
    if mode in ("La", "RGBa"):  # premultiplied
        return image.convert(mode.upper()), icc, None
    if image.has_transparency_data and mode not in ("LA", "RGBA"):
        return image.convert("LA" if mode in ("1", "L") else "RGBA"), icc, None
    if mode in ("L", "LA", "RGB", "RGBA"):
        return image, icc, None
    return image.convert("L" if mode == "1" else "RGB"), icc, None


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    if orientation not in UPRIGHT:
        return pixels
    steps = UPRIGHT[orientation]
    if steps in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM):
        return np.flip(pixels, axis=int(steps == Image.Transpose.FLIP_LEFT_RIGHT))
    if steps in (Image.Transpose.TRANSPOSE, Image.Transpose.TRANSVERSE):
        turned = pixels.transpose(1, 0, 2)
        return turned if steps == Image.Transpose.TRANSPOSE else turned[::-1, ::-1]
    quarters = {Image.Transpose.ROTATE_90: 1, Image.Transpose.ROTATE_180: 2, Image.Transpose.ROTATE_270: 3}[steps]
    return np.rot90(pixels, quarters)


def _kept_exif(image: Image.Image) -> tuple[Image.Exif | None, str | None]:
    try:
        with decoding("EXIF"):
            exif = image.getexif()
            for tag in STRUCTURE_TAGS & set(exif):
                del exif[tag]
            exif.tobytes()  # what can't be written again shows now, not when the pixels are done
    except ImageError:
        return None, "EXIF data damaged: left out"
    return (exif if len(exif) else None), None
