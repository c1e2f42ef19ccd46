"""A face to a vector: histograms of oriented gradients of scikit-image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beholder.errors import UserError

SIDE = 48
WIDTH = 128
"""Principal components that are kept."""


def hog_of(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(800,) of a picture (height, width, 3), in grey and stretched to 48 x 48. It should be a cropped face: none is
    looked for."""
    try:
        from skimage.feature import hog
    except ModuleNotFoundError:
        raise UserError(
            "hog_pca needs scikit-image, which is not installed. Try: pip install 'beholder[emotion-raw]'"
        ) from None
    grey = Image.fromarray(rgb).convert("L")
    if grey.size != (SIDE, SIDE):
        grey = grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    found: NDArray[np.float64] = hog(np.asarray(grey), orientations=8, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
    return found
