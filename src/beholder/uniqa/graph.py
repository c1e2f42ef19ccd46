"""From pixels to level probabilities as one graph that `torch.export` can follow for pictures of any size.

Resizing and cutting are matrix products, because then ONNX Runtime computes exactly what torch computes: cubic
interpolation with antialiasing is not one thing across libraries.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from beholder.task import Task
from beholder.uniqa.model import Uniqa

Place = tuple[float, float]
"""Of a view: its share of the room that it has along the shorter and the longer side, 0 to 1."""

_HALVES = (1 / 4, 3 / 4)
_THIRDS = (1 / 6, 3 / 6, 5 / 6)

PLACES: dict[int, tuple[Place, ...]] = {
    1: ((0.5, 0.5),),
    2: ((0.25, 0.25), (0.75, 0.75)),
    4: tuple(product(_HALVES, _HALVES)),
    5: (*product(_THIRDS[::2], _THIRDS[::2]), (0.5, 0.5)),
    6: tuple(product(_HALVES, _THIRDS)),
    9: tuple(product(_THIRDS, _THIRDS)),
}
"""By number of views, where they lie: the middles of equal parts, for they stand for the mean over all places.

Five are the corners and the centre of nine. Views at the edges are worth less than random ones: nearly all places lie
further in.
"""

VIEWS = 5
"""As many as are looked at where nobody asks for another number; `bench/uniqa_agreement.py` measures what they miss."""

CUBIC = -0.5
"""Keys's cubic convolution with this slope at 1 is what Pillow and torch's antialiased bicubic use."""


class Scorer(nn.Module):
    """uint8 RGB (B, H, W, 3), pictures of one size -> level probabilities (B, 5) per task, in the order of the config.

    The probabilities of a picture are the mean over its views, squares of `config.side` pixels at fixed places, at the
    resolution that each task was trained on.
    """

    def __init__(self, model: Uniqa, views: int) -> None:
        super().__init__()
        self.model, self.places = model, PLACES[views]

    def forward(self, rgb_BHW3: Tensor) -> tuple[Tensor, ...]:
        """Level probabilities, one output per task."""
        pixels = rgb_BHW3.permute(0, 3, 1, 2).float() / 255
        features: dict[int | None, Tensor] = {}
        for head in self.model.config.tasks.values():
            if head.short not in features:  # tasks that look alike share the encoder's work
                features[head.short] = self.features(pixels, head.short)
        return tuple(self._probabilities(features[head.short], task) for task, head in self.model.config.tasks.items())

    def features(self, pixels_B3HW: Tensor, short: int | None) -> Tensor:
        """Features of all views of pictures in [0, 1]: (K * B, width), view by view."""
        side = self.model.config.side
        views = [view(pixels_B3HW, place, side, short) for place in self.places]
        return self.model.encode_image(self.model.normalise(torch.cat(views)))

    def _probabilities(self, features: Tensor, task: Task) -> Tensor:
        found = self.model.probabilities_of(features, task)
        return found.view(len(self.places), -1, found.shape[1]).mean(dim=0)


def view(pixels_B3HW: Tensor, place: Place, side: int, short: int | None = None) -> Tensor:
    """One square view (B, 3, side, side) of pictures of any size.

    `place`: its share of the room along the shorter and the longer side; of a square picture the height is the shorter.
    A shorter side above `short` is first brought down to it, one below `side` up to it; cubic, antialiased.
    """
    height, width = (torch.scalar_tensor(length) for length in pixels_B3HW.shape[-2:])
    shorter = torch.minimum(height, width)
    target = shorter if short is None else shorter.clamp(max=short)
    target = target.clamp(min=side)
    rows, columns = (
        taps(pixels_B3HW.shape[axis], (length * target / shorter).round(), share, side)
        for axis, length, share in (
            (-2, height, torch.where(height > width, place[1], place[0])),
            (-1, width, torch.where(height > width, place[0], place[1])),
        )
    )
    return rows @ pixels_B3HW @ columns.T


def taps(length: int, resized: Tensor, share: Tensor, side: int) -> Tensor:
    """Weights (side, length) of a view's pixels along an axis of `length` pixels that is resized to `resized`.

    `resized`, a whole number of at least `side`, and `share`, the part of its room before the view, are scalars.
    """
    scale = length / resized
    begin = ((resized - side) * share + 0.5).floor()
    centre = (begin + torch.arange(side) + 0.5) * scale - 0.5
    distance = (torch.arange(length) - centre[:, None]).abs() / scale.clamp(min=1.0)
    weights = cubic(distance)
    return weights / weights.sum(dim=1, keepdim=True)


def cubic(distance: Tensor) -> Tensor:
    """Weight of a pixel at a distance of at least 0 under cubic convolution; nothing from 2 on."""
    a, d = CUBIC, distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d < 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
