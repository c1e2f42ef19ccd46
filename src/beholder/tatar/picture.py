"""A picture as the model is shown it: the same pixels in training and in scoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image

MIN_SIDE = 32
"""What `imaging` allows at least, so small pictures keep their own pixels; the model's processor enlarges them."""


def fit_of(processor: Any) -> Fit:
    """How large a picture is handed to a processor: what it would shrink anyway is shrunk while it is decoded."""
    area = dict(getattr(processor.image_processor, "size", None) or {}).get("longest_edge")
    if area is None or not hasattr(processor.image_processor, "merge_size"):
        return Fit(min_side=MIN_SIDE)  # a processor with one fixed size
    return Fit(area=int(area), min_side=MIN_SIDE)


def open_picture(path: Path, fit: Fit) -> Image.Image:
    """An RGB picture, upright, in sRGB. Raises `ImageError`."""
    return Image.fromarray(open_image(path, fit=fit).rgb)
