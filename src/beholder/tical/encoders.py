"""Features of one modality to one embedding: a perceptron for vectors, a small transformer for sequences, or less."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from beholder.errors import UserError
from beholder.tical.config import TicalConfig
from beholder.tical.inputs import Kind

_LAYERS = 2
_HEADS = 4


def encoder(kind: Kind, config: TicalConfig) -> nn.Module:
    """(B, d) or (B, t, d) to (B, embed_dim). Raises UserError where `hidden` can't be shared by the heads."""
    if config.encoder == "linear":
        plain: nn.Module = nn.Linear(kind.width, config.embed_dim)
    else:
        plain = perceptron(kind.width, config, config.embed_dim)
    if not kind.is_sequence:
        return plain
    if config.encoder != "full":
        return nn.Sequential(_MeanStep(), plain)
    if config.hidden % (2 * _HEADS):
        raise UserError(f"setting hidden = {config.hidden}: sequences need a multiple of {2 * _HEADS}")
    return SequenceEncoder(kind.width, config)


def perceptron(width: int, config: TicalConfig, out: int) -> nn.Module:
    """One hidden layer."""
    return nn.Sequential(
        nn.Linear(width, config.hidden), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.hidden, out)
    )


class _MeanStep(nn.Module):
    """The mean of the steps of `x` (B, t, d) that are there, (B, d); 0 where none is."""

    def forward(self, x: Tensor) -> Tensor:
        return x.nanmean(dim=1).nan_to_num()


class SequenceEncoder(nn.Module):
    """Linear, a transformer of 2 layers and 4 heads over the steps, their mean, Linear.

    Steps that are NaN are nowhere seen: neither attended to nor counted in the mean. So padding changes nothing.
    """

    def __init__(self, width: int, config: TicalConfig) -> None:
        super().__init__()
        self.enter = nn.Linear(width, config.hidden)
        layer = nn.TransformerEncoderLayer(
            config.hidden, _HEADS, 2 * config.hidden, config.dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)
        self.leave = nn.Linear(config.hidden, config.embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """`x` (B, t, d), NaN where there is no step; a sample without any gives finite numbers that mean nothing."""
        gap = x.isnan().any(dim=2)
        last = 1 + int((~gap).any(dim=0).nonzero()[-1:].sum())
        x, gap = x[:, :last], gap[:, :last]
        # A sample of nothing but gaps would be divided by 0; it is given its first step, of zeros.
        gap = gap & ~(gap.all(dim=1, keepdim=True) & (torch.arange(gap.shape[1], device=gap.device) == 0))
        h = self.enter(x.nan_to_num()) + _places(x.shape[1], self.enter.out_features).to(x.device)
        h = self.layers(h, src_key_padding_mask=gap)
        kept = (~gap)[:, :, None]
        out: Tensor = self.leave((h * kept).sum(dim=1) / kept.sum(dim=1))
        return out


def _places(steps: int, width: int) -> Tensor:
    """Sines and cosines of the place in the sequence, (steps, width): attention by itself knows no order."""
    place = torch.arange(steps)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    return torch.cat([torch.sin(place * rate), torch.cos(place * rate)], dim=1)
