"""`hog_pca`: gradients of a grey face of 48 x 48 pixels, and their principal components over the training part.

There is no face detector: the picture is the face, cropped to it; of a wider or taller one the middle square is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from beholder.errors import UserError
from beholder.extract.learnt import Learnt
from beholder.extract.picture import read_frames, square

SIDE = 48
_ORIENTATIONS, _CELL, _BLOCK = 8, 8, 2

Array = NDArray[np.float64]


class Config(BaseModel):
    """Settings of `hog_pca`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    components: int = Field(default=128, ge=1, le=800)
    """Kept at most; fewer where there are fewer training samples."""
    frames: int = Field(default=8, ge=1, le=64)
    """Of a video, whose gradients are averaged."""


def measure(source: Path | Image.Image, config: Config) -> Array:
    """(800,) of a picture or a video. Raises ExtractError where it can't be read."""
    mean: Array = np.mean([gradients(frame) for frame in read_frames(source, config.frames)], axis=0)
    return mean


def gradients(rgb: NDArray[np.uint8]) -> Array:
    """(800,): histograms of oriented gradients of a face (height, width, 3), by scikit-image."""
    from skimage.feature import hog

    grey = np.asarray(square(rgb, SIDE).convert("L"))
    out: Array = hog(grey, orientations=_ORIENTATIONS, pixels_per_cell=(_CELL, _CELL), cells_per_block=(_BLOCK, _BLOCK))
    return out


def fit(measured: Sequence[Array], config: Config) -> Learnt:
    """Mean and components of the training samples."""
    from sklearn.decomposition import PCA

    x = np.stack(measured)
    if len(x) < 2:
        raise UserError(f"hog_pca has {len(x)} training picture(s) that could be read; two are needed at least")
    found = PCA(min(config.components, len(x) - 1), svd_solver="full").fit(x)
    return Learnt({"mean": found.mean_, "components": found.components_})


def project(measured: Sequence[Array], config: Config, learnt: Learnt) -> Array:
    """(n, components)."""
    out: Array = (np.stack(measured) - learnt.arrays["mean"]) @ learnt.arrays["components"].T
    return out
