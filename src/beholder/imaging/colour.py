"""Embedded colour profiles (ICC) to sRGB. PNG's gAMA, cHRM and cICP chunks are not read."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""ICC colour space signature -> Pillow mode of the pixels it describes."""

IDENTITY_TOLERANCE = 1
"""A profile that moves no probe colour further than this, in 1/255, is sRGB by another name and costs nothing."""


def to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """Pixels of mode L, RGB, CMYK or LAB as RGB in sRGB, and a note where the profile could not be followed.

    Without a usable profile L and RGB are taken as sRGB, CMYK is inverted (no ink model), LAB is CIE L*a*b* D50.
    """
    note = None
    if profile:
        try:
            mode, transform = _transform(profile)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as err:
            note = f"colour profile ignored: {str(err).strip() or 'damaged'}"
        else:
            if mode == "RGB" and image.mode == "L":  # grey pictures often carry the sRGB profile of their editor
                image = image.convert("RGB")
            if mode == image.mode:
                return (transform.apply(image) if transform else image.convert("RGB")), None
            note = f"colour profile ignored: it is for {mode}, the picture is {image.mode}"
    if image.mode == "LAB":
        return _lab_transform().apply(image), note
    return image.convert("RGB"), note


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """Pixel mode a profile is for, and the way to sRGB; None if the profile already is sRGB."""
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    space = source.profile.xcolor_space
    if space not in PROFILE_MODES:
        raise ValueError(f"colour space {space.strip()!r} is none of {', '.join(s.strip() for s in PROFILE_MODES)}")
    mode = PROFILE_MODES[space]
    transform = _build(source, mode)
    return mode, None if mode == "RGB" and _is_identity(transform) else transform


@lru_cache(maxsize=1)
def _lab_transform() -> ImageCms.ImageCmsTransform:
    return _build(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _build(source: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.buildTransform(
        source,
        srgb,
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    probe = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(81, 9, 3)
    moved = np.asarray(transform.apply(Image.fromarray(probe)))
    return bool(np.abs(moved.astype(int) - probe).max() <= IDENTITY_TOLERANCE)
