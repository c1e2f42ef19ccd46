"""Any Pillow mode or array to eight bits per channel, in a mode that can be resized and colour-managed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.imaging.status import ImageError

WORKING_MODES = ("L", "LA", "RGB", "RGBA", "CMYK", "LAB")

DEEP_NOTE = "16-bit to 8-bit"


def to_working(image: Image.Image) -> tuple[Image.Image, str | None]:
    """The picture in one of `WORKING_MODES`, and a note where depth was lost.

    16 bits keep their upper 8, as Pillow does for 16-bit RGB. Raises `ImageError` (`unsupported`) for floating
    point outside [0, 1] and integers beyond 16 bits: their white is not declared anywhere, and we do not guess it.
    """
    mode = image.mode
    if mode.startswith("I"):
        return _from_integers(np.asarray(image)), DEEP_NOTE
    if mode == "F":
        return Image.fromarray(unit_to_byte(np.asarray(image), "the picture")), "float to 8-bit"
    if mode in ("La", "RGBa"):  # premultiplied
        return image.convert(mode.upper()), None
    if image.has_transparency_data and mode not in ("LA", "RGBA"):
        return image.convert("RGBA"), None
    if mode in WORKING_MODES:
        return image, None
    return image.convert("L" if mode == "1" else "RGB"), None


def from_array(array: NDArray[Any]) -> tuple[Image.Image, str | None]:
    """An array as a Pillow image of mode L, RGB or RGBA, and a note where depth was lost.

    Shapes (H, W), (H, W, 1), (H, W, 3) and (H, W, 4) (alpha last, not premultiplied); uint8, uint16, or floating
    point in [0, 1]. Raises `ValueError` for another shape or range, `TypeError` for another dtype.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or 0 in array.shape:
        hint = " It looks channels-first: try array.transpose(1, 2, 0)." if _is_channels_first(array.shape) else ""
        raise ValueError(
            f"array of shape {array.shape} is not a picture; allowed are (H, W), (H, W, 1), (H, W, 3) RGB and "
            f"(H, W, 4) RGBA.{hint}"
        )
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(array)), None
    if array.dtype == np.uint16:
        return Image.fromarray((array >> 8).astype(np.uint8)), DEEP_NOTE
    if np.issubdtype(array.dtype, np.floating):
        try:
            return Image.fromarray(unit_to_byte(array, "the array")), "float to 8-bit"
        except ImageError as err:
            raise ValueError(str(err)) from None
    raise TypeError(f"array dtype {array.dtype} is not read; allowed are uint8, uint16 and floating point in [0, 1]")


def unit_to_byte(values: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Floating point in [0, 1] to 0-255, rounded. Raises `ImageError` naming the range that was found."""
    low, high = float(np.min(values)), float(np.max(values))
    if not (low >= 0.0 and high <= 1.0):  # also false for NaN
        raise ImageError(
            "unsupported",
            f"{what} holds floating-point values from {low:g} to {high:g}; allowed is 0 to 1. "
            "Divide by its white level first.",
        )
    scaled: NDArray[np.uint8] = np.rint(values * np.float32(255)).astype(np.uint8)
    return scaled


def _from_integers(values: NDArray[Any]) -> Image.Image:
    if values.dtype.itemsize > 2:  # mode I holds 32 bits; Pillow also uses it for 16-bit PGM
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > 65535:
            raise ImageError(
                "unsupported",
                f"integer picture with values from {low} to {high}; allowed is 0 to 65535. Convert it to 8 or 16 bits.",
            )
    return Image.fromarray((values >> 8).astype(np.uint8))


def _is_channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3, 4) and min(shape[1:]) > 4
