"""A patch discriminator beside the tokeniser: which patches of a picture look like a photo (section 3 of our spec).

Both sides learn in one backward pass of one optimiser: the tokeniser's loss sees the discriminator's weights as
constants, the discriminator's sees the picture as one.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call


class Discriminator(nn.Module):
    """RGB [B, 3, H, W] in [-1, 1] -> a score per patch [B, 1, H / 8, W / 8], higher looks more like a photo."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for factor in (1, 2, 4):
            layers += [nn.Conv2d(before, width * factor, 4, stride=2, padding=1)]
            layers += [nn.GroupNorm(8, width * factor)] if factor > 1 else []
            layers += [nn.LeakyReLU(0.2)]
            before = width * factor
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, 3, padding=1))

    def forward(self, picture: Tensor) -> Tensor:
        """Scores of patches."""
        return self.layers(picture)  # type: ignore[no-any-return]


def fooling_loss(discriminator: Discriminator, decoded: Tensor) -> Tensor:
    """What the tokeniser lowers: minus the mean score of its pictures. The discriminator gets no gradient."""
    constants = {name: value.detach() for name, value in discriminator.named_parameters()}
    scores: Tensor = functional_call(discriminator, constants, (decoded,))
    return -scores.mean()


def hinge_loss(discriminator: Discriminator, decoded: Tensor, photos: Tensor) -> Tensor:
    """What the discriminator lowers. The tokeniser gets no gradient."""
    return (F.relu(1 - discriminator(photos)) + F.relu(1 + discriminator(decoded.detach()))).mean()
