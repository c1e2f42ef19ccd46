"""The picture tower of a UniQA model as one more block of features: what pre-training with texts saw in a picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.uniqa.model import Uniqa


class Encoder(nn.Module):
    """(B, 3, H, W) RGB float in [0, 255] -> (B, 2 * width): features of the whole picture, and of its quarters.

    Five views of `side` px, whatever the size of the picture: it is brought to a square of twice that side, which
    changes the shape of things a little and lets one graph take every picture. Each feature has length 1, as UniQA
    compares them (spec, section 4).
    """

    def __init__(self, model: Uniqa) -> None:
        super().__init__()
        self.model = model
        self.width = 2 * model.width

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """The whole first, then the mean over the quarters."""
        side = self.model.config.side
        square = F.interpolate(rgb_B3HW, size=(2 * side, 2 * side), mode="bilinear", antialias=True)
        quarters = [half for row in square.chunk(2, dim=2) for half in row.chunk(2, dim=3)]
        views = torch.cat([F.avg_pool2d(square, 2), *quarters])
        seen = F.normalize(self.model.encode_image(self.model.normalise(views / 255)), dim=-1)
        by_view = seen.view(5, rgb_B3HW.shape[0], -1)  # `len` would fix the batch of an exported graph
        return torch.cat([by_view[0], by_view[1:].mean(dim=0)], dim=1)
