"""Features learned from pictures without labels: patches compared with the prototypes of a codebook.

Contrast-normalised, whitened patches are clustered on the sphere, and a picture is described by how strongly and where
it answers to each prototype (Coates, Lee and Ng, AISTATS 2011; for picture quality CORNIA, Ye et al., CVPR 2012). No
label is involved, so these features can't overfit the few there are.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beholder.mini.config import CodebookConfig
from beholder.mini.statistics import luma_of

_POOLS = 4
_ROUNDS = 20
_FLATTEN = 0.1
"""Share of the mean patch variance that whitening takes for noise."""


def plane_of(rgb_B3HW: Tensor, config: CodebookConfig) -> Tensor:
    """What the codebook looks at, (B, C, H / 2**halvings, W / 2**halvings) in [0, 1]."""
    if config.plane == "rgb":
        # The first two halvings are one convolution: an engine pools three large planes four times as slowly.
        side = min(4, 2**config.halvings)
        mean = torch.eye(3, device=rgb_B3HW.device)[:, :, None, None].expand(3, 3, side, side) / (255 * side**2)
        plane = F.conv2d(rgb_B3HW, mean, stride=side)
        halvings = max(0, config.halvings - 2)
    else:
        plane, halvings = luma_of(rgb_B3HW), config.halvings
    for _ in range(halvings):
        plane = F.avg_pool2d(plane, 2)
    return plane


class Codebook(nn.Module):
    """(B, 3, H, W) RGB float in [0, 255] -> (B, `width`) pooled answers of the prototypes.

    A prototype's answer at one place is its inner product with the whitened patch there, above the mean answer of all
    prototypes. Pooled over places: mean, mean under a Hann window, top against bottom, fourth norm.
    """

    prototypes: Tensor
    bias: Tensor

    def __init__(self, config: CodebookConfig) -> None:
        super().__init__()
        self.config = config
        self.floor = config.floor / 255
        channels = 3 if config.plane == "rgb" else 1
        self.register_buffer("prototypes", torch.zeros(config.words, channels, config.taps, config.taps))
        self.register_buffer("bias", torch.zeros(config.words))

    @property
    def width(self) -> int:
        """Features per picture."""
        return _POOLS * self.config.words

    def answers(self, plane_BCHW: Tensor) -> Tensor:
        """(B, words, h, w): answers at every `stride`-th patch, at least 0."""
        words, stride = self.config.words, self.config.stride
        # A prototype sums to zero over a patch, so that only the deviation of the patch is left to divide by; and all
        # prototypes sum to zero, so that an answer is above the mean answer as it comes.
        # Box means are convolutions too: the pooling of the inference engine takes longer than all prototypes.
        box = torch.full_like(self.prototypes[:1], 1.0 / self.prototypes[0].numel())
        found = F.conv2d(plane_BCHW, torch.cat([self.prototypes, box]), stride=stride)
        raw, mean = found[:, :words], found[:, words:]
        power = F.conv2d(plane_BCHW * plane_BCHW, box, stride=stride)
        scale = ((power - mean * mean).clamp(min=0.0) + self.floor**2).rsqrt()
        return F.relu(raw * scale + self.bias[:, None, None])

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """Pooled answers."""
        answers = self.answers(plane_of(rgb_B3HW, self.config))
        height, width = answers.shape[2:]
        places = answers.flatten(2)
        rows = (torch.arange(height, device=answers.device) + 0.5) / height
        columns = (torch.arange(width, device=answers.device) + 0.5) / width
        middle = torch.sin(rows * torch.pi)[:, None] ** 2 * torch.sin(columns * torch.pi) ** 2
        lean = (1 - 2 * rows)[:, None].expand(height, width) / (height * width)
        even = torch.full_like(lean, 1.0) / (height * width)
        pools = torch.stack([even, middle / middle.sum(), lean], dim=-1).flatten(0, 1)
        fourth = torch.linalg.vector_norm(places * places, dim=2).sqrt() / (height * width) ** 0.25
        return torch.cat([(places @ pools).transpose(1, 2).flatten(1), fourth], dim=1)


def learn_codebook(pictures: Iterable[Tensor], config: CodebookConfig, seed: int) -> Codebook:
    """Spherical k-means on whitened patches of RGB pictures, each float (3, H, W) in [0, 255] with sides of 64 or more.

    The same pictures and seed give the same prototypes.
    """
    rng = np.random.default_rng((seed, config.halvings, config.taps))
    patches = []
    for rgb in pictures:
        found = F.unfold(plane_of(rgb[None], config), config.taps, stride=max(1, config.taps // 4))[0].T
        patches.append(found[torch.from_numpy(rng.integers(len(found), size=config.patches))])
    raw = torch.cat(patches)
    raw = raw - raw.mean(dim=1, keepdim=True)
    normal = raw / (raw.square().mean(dim=1, keepdim=True) + (config.floor / 255) ** 2).sqrt()
    centre = normal.mean(dim=0)
    variance, axes = torch.linalg.eigh((normal - centre).T @ (normal - centre) / len(normal))
    variance = variance.clamp(min=0.0)
    whiten = axes @ torch.diag((variance + _FLATTEN * variance.mean()).rsqrt()) @ axes.T
    white = (normal - centre) @ whiten
    words = F.normalize(white[torch.from_numpy(rng.permutation(len(white))[: config.words])])
    for _ in range(_ROUNDS):
        nearest = (white @ words.T).argmax(dim=1)
        words = F.normalize(torch.zeros_like(words).index_add_(0, nearest, white))
    made = Codebook(config)
    filters = words @ whiten
    bias = -(filters @ centre)
    made.bias.copy_(bias - bias.mean())
    filters = filters - filters.mean(dim=1, keepdim=True)
    made.prototypes.copy_((filters - filters.mean(dim=0)).view_as(made.prototypes))
    return made
