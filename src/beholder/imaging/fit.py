"""How large a picture is looked at: one area for all, aspect ratio kept, nothing padded, nothing cropped."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class Fit:
    """The whole picture as one view of at most `area` pixels.

    A picture that is small enough keeps its own pixels; a larger one is shrunk with its aspect ratio kept.
    """

    area: int = 512 * 512
    """Pixels of the view at most."""
    min_side: int = 64
    """A shorter side is brought up to this many pixels."""
    max_side: int = 4096
    """A longer side is cut down to this many pixels; only ratios beyond area / min_side**2 are distorted by it."""

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the view of a `width` x `height` picture, in pixels.

        >>> Fit().size(512, 512), Fit().size(4000, 3000), Fit().size(100, 40), Fit().size(20000, 32)
        ((512, 512), (591, 443), (160, 64), (4096, 64))
        """
        scale = min(1.0, sqrt(self.area / (width * height)))
        scale = max(scale, self.min_side / min(width, height))
        sides = (round(side * scale) for side in (width, height))
        w, h = (min(self.max_side, max(self.min_side, side)) for side in sides)
        return w, h
