"""One picture that is in memory already, enlarged and given back as what it came as.

The same tiles, tones and fidelity as for files: pixels become an `Original`, and `enlarge` does the rest.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.errors import UserError
from beholder.imaging.status import ImageError
from beholder.restore.enlarge import enlarge
from beholder.restore.options import Options
from beholder.restore.original import MIN_SIDE, Original, from_image
from beholder.restore.tiles import Pixels

if TYPE_CHECKING:
    import torch

    from beholder.restore.upscaler import Upscaler

Picture = TypeVar("Picture")
"""A Pillow image, a NumPy array or a torch tensor."""

_ROUNDING = 1e-3
"""How far outside [0, 1] resampling by others may have left a value."""


def enlarge_picture(picture: Picture, upscaler: Upscaler, options: Options) -> Picture:
    """Enlarge a Pillow image, an array or a tensor, see `Upscaler.__call__`."""
    found: Any
    if isinstance(picture, Image.Image):
        found = _image(picture, upscaler, options)
    elif isinstance(picture, np.ndarray):
        found = _array(picture, upscaler, options)
    elif (torch := sys.modules.get("torch")) is not None and isinstance(picture, torch.Tensor):
        found = _tensor(picture, upscaler, options)
    else:
        raise UserError(
            f"a picture is a Pillow image, a NumPy array or a torch tensor, not {type(picture).__name__}. "
            "For files: beholder.upscale"
        )
    result: Picture = found
    return result


def _image(image: Image.Image, upscaler: Upscaler, options: Options) -> Image.Image:
    original = from_image(image)
    pixels = _enlarged(original, upscaler, options)
    height, width, n_channels = pixels.shape
    result = Image.fromarray(pixels[:, :, 0] if n_channels == 1 else pixels)
    exif = original.exif_bytes(width, height)
    for name, value in (("icc_profile", original.icc), ("exif", exif)):
        if value:
            result.info[name] = value
    return result


def _array(array: NDArray[Any], upscaler: Upscaler, options: Options) -> NDArray[Any]:
    pixels = array[:, :, None] if array.ndim == 2 else array
    if pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4:
        raise UserError(
            f"array of shape {array.shape}: a picture is (height, width) or (height, width, channels), with 1 to 4 "
            "channels: grey or RGB, each with or without transparency"
        )
    stored = _stored(pixels)
    has_alpha = stored.shape[2] in (2, 4)
    parts = np.split(stored, [stored.shape[2] - has_alpha], axis=2)
    colour, alpha = (np.ascontiguousarray(part) for part in parts)
    large = _enlarged(Original(colour, alpha if has_alpha else None), upscaler, options)
    result: NDArray[Any] = large
    if array.dtype.kind == "f":
        result = (large.astype(np.float64) / 65535).astype(array.dtype)
    return result[:, :, 0] if array.ndim == 2 else result


def _tensor(tensor: torch.Tensor, upscaler: Upscaler, options: Options) -> torch.Tensor:
    import torch

    if tensor.ndim == 4:
        return torch.stack([_tensor(one, upscaler, options) for one in tensor])
    if tensor.ndim != 3 or not 1 <= tensor.shape[0] <= 4:
        raise UserError(
            f"tensor of shape {tuple(tensor.shape)}: a picture is (channels, height, width), several of one size are "
            "(pictures, channels, height, width), with 1 to 4 channels"
        )
    wide = tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
    large = _array(wide.permute(1, 2, 0).cpu().numpy(), upscaler, options)
    return torch.from_numpy(np.ascontiguousarray(large.transpose(2, 0, 1))).to(tensor.device, tensor.dtype)


def _stored(pixels: NDArray[Any]) -> NDArray[Any]:
    """As a file would hold it, uint8 or uint16: floating point becomes 16 bits."""
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if pixels.dtype.kind != "f":
        raise UserError(f"pixels of type {pixels.dtype}: allowed are uint8, uint16 and floating point in [0, 1]")
    low, high = (float(pixels.min()), float(pixels.max())) if pixels.size else (0.0, 0.0)
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # so also where there is a NaN
        raise UserError(
            f"floating-point pixels from {low:g} to {high:g}: allowed are finite numbers in [0, 1]. "
            "Divide by the value of white, or give uint8"
        )
    return np.asarray(np.rint(pixels.astype(np.float64).clip(0, 1) * 65535).astype(np.uint16))


def _enlarged(original: Original, upscaler: Upscaler, options: Options) -> Pixels:
    """(height, width, channels), colour and then alpha."""
    width, height = original.size
    if min(width, height) < MIN_SIDE:
        raise ImageError("too_small", f"{width} x {height} pixels; sides of {MIN_SIDE} px at least are needed")
    bands = enlarge(original, options.tile_model(upscaler), options.method(upscaler))
    pixels: Pixels = np.concatenate(list(bands))
    return pixels
