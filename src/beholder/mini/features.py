"""What beholder-mini sees in a picture: blocks of features, each compared with what it knows on its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from beholder.mini.codebook import Codebook
from beholder.mini.config import BOOKS, Block
from beholder.mini.data import Pixels
from beholder.mini.encoder import Encoder
from beholder.mini.statistics import Statistics

Rows = NDArray[np.float32]
"""(n, F) features of n pictures, the blocks side by side in the order of `Block`."""


class Features(nn.Module):
    """(B, 3, H, W) RGB in [0, 255], sides at least 64 px -> (B, F): statistics, texture, colour, perhaps UniQA."""

    def __init__(self, books: Mapping[Block, Sequence[Codebook]], encoder: Encoder | None = None) -> None:
        super().__init__()
        self.statistics = Statistics()
        self.books = nn.ModuleDict({name: nn.ModuleList(books[name]) for name in BOOKS})
        self.encoder = encoder
        widths: dict[Block, int] = {"statistics": self.statistics.width}
        widths |= {name: sum(book.width for book in books[name]) for name in BOOKS}
        if encoder is not None:
            widths["uniqa"] = encoder.width
        ends = accumulate(widths.values())
        self.places: dict[Block, slice] = {
            name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)
        }
        """Where each block is along the last dimension."""

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """All blocks side by side."""
        blocks = [part for part in self.modules() if isinstance(part, Statistics | Codebook | Encoder)]
        return torch.cat([block(rgb_B3HW) for block in blocks], dim=1)


def features_of(pictures: Iterable[Pixels], measure: Features) -> Rows:
    """(n, F) float32 features of whole pictures, each uint8 (H, W, 3)."""
    with torch.inference_mode():
        return np.stack([measure(as_planes(rgb)[None])[0].numpy() for rgb in pictures])


def as_planes(rgb: Pixels) -> Tensor:
    """uint8 (H, W, 3) -> float (3, H, W), values kept."""
    return torch.tensor(rgb).permute(2, 0, 1).float()
