"""A picture as a chat message carries it: a data URL of bounded size."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from pathlib import Path

from PIL import Image

from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image

JPEG_QUALITY = 95
"""High enough, without chroma subsampling, that a model judges the picture and not our compression."""


def data_url(path: Path, fit: Fit) -> str:
    """The picture, upright in sRGB and shrunk to `fit`, as `data:image/jpeg;base64,...`. Raises `ImageError`."""
    buffer = BytesIO()
    Image.fromarray(open_image(path, fit=fit).rgb).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{b64encode(buffer.getvalue()).decode('ascii')}"
