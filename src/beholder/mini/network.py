"""The trunk of beholder-mini: a small convolutional network whose every stage reports how its features are spread."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

GREY, GAIN = 0.45, 4.0
"""The trunk sees (rgb - GREY) * GAIN: about zero mean and unit deviation on photographs."""


class TrunkConfig(BaseModel):
    """Shape of the trunk."""

    model_config = ConfigDict(extra="forbid")

    stem: tuple[int, int] = (16, 32)
    """Channels after the two first convolutions, each at stride 2."""
    widths: tuple[int, ...] = (64, 96, 160)
    """Channels of the stages, each at half the resolution of the one before."""
    depths: tuple[int, ...] = (2, 3, 2)
    """Residual blocks per stage."""
    expand: int = Field(default=2, ge=1)
    """Inner width of a block over its outer width."""


def _conv(inputs: int, outputs: int, stride: int = 1, groups: int = 1, taps: int = 3) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, taps, stride, taps // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """Inverted residual: expand pointwise, look around depthwise, project; the identity beside it."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(width, inner, taps=1),
            nn.ReLU(),
            *_conv(inner, inner, groups=inner),
            nn.ReLU(),
            *_conv(inner, width, taps=1),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Same shape out."""
        return torch.add(x_BCHW, self.body(x_BCHW))


class Trunk(nn.Module):
    """(B, 3, H, W) RGB in [0, 1], both sides at least 64 px -> (B, `width`) pooled features of all stages.

    Mean and standard deviation over the picture, stage by stage: technical damage is a matter of how features are
    distributed, not of where. The last stage adds its maximum, which finds the one sharp or striking place.
    """

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        first, second = config.stem
        self.stem = nn.Sequential(*_conv(3, first, 2), nn.ReLU(), *_conv(first, second, 2), nn.ReLU())
        stages = []
        width = second
        for outputs, depth in zip(config.widths, config.depths, strict=True):
            blocks = [Block(outputs, outputs * config.expand) for _ in range(depth)]
            stages.append(nn.Sequential(*_conv(width, outputs, 2), nn.ReLU(), *blocks, nn.ReLU()))
            width = outputs
        self.stages = nn.ModuleList(stages)
        self.width = 2 * (second + sum(config.widths)) + config.widths[-1]

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """Pooled features, (B, `width`)."""
        return self.pool(self.stem((rgb_B3HW - GREY) * GAIN))

    def pool(self, x: Tensor) -> Tensor:
        """The same, from the output of the stem."""
        pooled = [*_spread(x)]
        for stage in self.stages:
            x = stage(x)
            pooled += _spread(x)
        return torch.cat([*pooled, x.amax(dim=(2, 3))], dim=1)


def _spread(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    mean = x_BCHW.mean(dim=(2, 3))
    power = (x_BCHW * x_BCHW).mean(dim=(2, 3))
    return mean, (F.relu(power - mean * mean) + 1e-5).sqrt()
