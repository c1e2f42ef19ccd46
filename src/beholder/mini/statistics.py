"""Picture statistics as a torch module: what classical no-reference IQA measures, in operators that ONNX has.

The baseline (`mini.baseline`) needs sorting, searching and a Fourier transform. Here every percentile is a share of
pixels under a fixed threshold, every fitted shape is the pair of moments it is fitted to, and the spectrum is the
energy of an 8 x 8 DCT, whose stride also sees JPEG's blocks. Nothing here is learned.
"""

from __future__ import annotations

from math import cos, log, pi, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luma (ITU-R BT.601)."""
_EPS = 1e-5

_DEVIATION_STEPS = tuple(x / 255 for x in (1, 2, 4, 8, 16, 32))
_TONE_STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
_TONE_RANGES = ((-0.01, 0.1), (0.1, 0.3), (0.3, 0.7), (0.7, 0.9), (0.9, 1.01))
_CHROMA_STEPS = (0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_HIGHEST_STEPS = (0.5, 0.9, 0.95, 0.98, 0.995)
_LOWEST_STEPS = (0.02, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)
_JUMP_STEPS = tuple(x / 255 for x in (0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 64.5))
_SHARP_STEPS = (-12.0, -10.5, -9.0, -7.5, -6.0, -4.5, -3.0)
_MSCN_STEPS = (0.1, 0.3, 0.6, 1.0, 1.5, 2.2)
_NEIGHBOURS = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
"""Pixels of a 2 x 2 cell: two pairs side by side, two above each other, and the two diagonals."""


def luma_of(rgb_B3HW: Tensor) -> Tensor:
    """Luma in [0, 1], (B, 1, H, W), of RGB in [0, 255]; as a matrix product it reads the picture once."""
    weights = torch.tensor([_LUMA], device=rgb_B3HW.device) / 255
    return (weights @ rgb_B3HW.flatten(2)).view(-1, 1, *rgb_B3HW.shape[2:])


def _cells(taps: int, sigma: float) -> Tensor:
    """(8, 1, taps + 1, taps + 1): the Gaussian window at the four pixels of a 2 x 2 cell, then the four pixels."""
    x = torch.arange(taps, dtype=torch.float32) - taps // 2
    window = torch.exp(-(x**2) / (2 * sigma**2))
    window = window[:, None] * window[None] / window.sum() ** 2
    cells = torch.zeros(8, taps + 1, taps + 1)
    for index in range(4):
        row, col = divmod(index, 2)
        cells[index, row : row + taps, col : col + taps] = window
        cells[4 + index, row + taps // 2, col + taps // 2] = 1.0
    return cells[:, None]


def _dct_bank() -> Tensor:
    """The 64 orthonormal 8 x 8 DCT-II basis pictures, (64, 1, 8, 8), row-major in frequency."""
    basis = torch.tensor(
        [[cos(pi * (x + 0.5) * u / 8) * sqrt((2 if u else 1) / 8) for x in range(8)] for u in range(8)]
    )
    return torch.einsum("ux,vy->uvxy", basis, basis).reshape(64, 1, 8, 8)


def _direction_average() -> Tensor:
    """(6, 4): averages the neighbour pairs of a cell by direction."""
    average = torch.zeros(len(_NEIGHBOURS), 4)
    for pair, (direction, weight) in enumerate(((0, 0.5), (0, 0.5), (1, 0.5), (1, 0.5), (2, 1.0), (3, 1.0))):
        average[pair, direction] = weight
    return average


def _mean(x: Tensor) -> Tensor:
    """Mean over rows and columns, (B, C)."""
    return x.mean(dim=(2, 3))


def _whole(x_BCHW: Tensor) -> Tensor:
    """Mean over channels too, (B, 1)."""
    return x_BCHW.flatten(1).mean(dim=1, keepdim=True)


def _tile_means(x: Tensor, side: int) -> Tensor:
    """Mean of each `side` x `side` tile, rows first: an engine is slow at pooling with large windows."""
    rows = x.shape[2] // side
    return F.avg_pool2d(torch.unflatten(x[:, :, : rows * side], 2, (rows, side)).mean(dim=3), (1, side))


def _log(x: Tensor) -> Tensor:
    return torch.log(x + 1e-7)


def _log_energy(x: Tensor) -> Tensor:
    """log(x + 1e-8), scaled so that no graph optimiser takes the constant for zero: one did (NaN on flat tiles)."""
    return torch.log(x * 1e6 + 1e-2) - log(1e6)


def _shares(x_BCHW: Tensor, steps: tuple[float, ...]) -> Tensor:
    """Share of all samples above each threshold, (B, len(steps))."""
    limits = torch.tensor(steps, device=x_BCHW.device)[None, :, None]
    return (x_BCHW.flatten(1)[:, None] > limits).float().mean(dim=2)


def _hann(x_BCHW: Tensor) -> Tensor:
    """(H, W) Hann window of a plane, summing to 1."""
    down, across = (
        torch.sin((torch.arange(side, device=x_BCHW.device) + 0.5) * (pi / side)) ** 2 for side in x_BCHW.shape[2:]
    )
    window = down[:, None] * across[None]
    return window / window.sum()


def _around(plane: Tensor, stride: int) -> list[list[Tensor]]:
    """The 3 x 3 neighbours of every `stride`-th pixel, row by row, as nine planes of one size.

    Sums of these make the small kernels: an inference engine pads a one-channel convolution to sixteen channels.
    """
    height, width = plane.shape[2] - 2, plane.shape[3] - 2
    return [[plane[:, :, i : i + height : stride, j : j + width : stride] for j in range(3)] for i in range(3)]


class Statistics(nn.Module):
    """(B, 3, H, W) RGB float in [0, 255], sides at least 64 px -> (B, `width`) finite statistics, not yet standardised.

    Most of them are means over pixels, and a part of the pixels gives the same mean: large planes are looked at at
    every second pixel, tones and colours at every fourth. Memory traffic, not arithmetic, is what a picture costs here.
    """

    cells: Tensor
    dct: Tensor
    directions: Tensor
    rings: Tensor
    phases: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cells", _cells(7, 7 / 6), persistent=False)
        self.register_buffer("dct", _dct_bank(), persistent=False)
        self.register_buffer("rings", _ring_average(), persistent=False)
        self.register_buffer("directions", _direction_average(), persistent=False)
        self.register_buffer("phases", torch.eye(8)[:, None, None], persistent=False)
        with torch.inference_mode():
            self.width = self(torch.full((1, 3, 64, 64), 99.0)).shape[1]

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """All statistics side by side."""
        luma = luma_of(rgb_B3HW)
        sparse = rgb_B3HW[:, :, ::4, ::4] * (1 / 255)
        parts = [self._exposure(luma[:, :, ::4, ::4]), self._colour(sparse), self._spectrum(luma), self._blocking(luma)]
        parts += [self._detail_by_tone(luma), self._jumps(luma, rgb_B3HW)]
        planes = [luma]
        for _ in range(4):
            planes.append(F.avg_pool2d(planes[-1], 2))
        around = [_around(plane, stride=1 if scale > 1 else 2) for scale, plane in enumerate(planes)]
        laplaces = [n[0][1] + n[1][0] + n[1][2] + n[2][1] - 4.0 * n[1][1] for n in around]
        for scale in range(4):
            parts += [_log(_mean(laplaces[scale] * laplaces[scale])), _log(_mean(laplaces[scale].abs()))]
        # At full and half size the texture codebooks say the same and more: without these nothing is lost.
        parts += [self._natural_scene(planes[scale]) for scale in (2, 3)]
        return torch.cat([*parts, self._tiles(planes[1], laplaces[0]), self._middle(planes, laplaces)], dim=1)

    def _natural_scene(self, plane: Tensor) -> Tensor:
        """Moments of the MSCN coefficients and of their four neighbour products: what BRISQUE's fits are made from."""
        padded = F.pad(plane, (3, 3, 3, 3), mode="replicate")
        mean, pixel = F.conv2d(padded, self.cells, stride=2).chunk(2, dim=1)
        power = F.conv2d(padded * padded, self.cells[:4], stride=2)
        deviation = (power - mean * mean).clamp(min=0.0).sqrt()
        field = (pixel - mean) / (deviation + 1 / 255)
        size = field.abs()
        spread = _whole(field * field)
        first, second = zip(*_NEIGHBOURS, strict=True)
        product = field[:, list(first)] * field[:, list(second)]
        up, down = product.clamp(min=0.0), product.clamp(max=0.0)
        moments = [_mean(part) @ self.directions for part in (up, down, up * up, down * down)]
        return torch.cat(
            [
                _log(torch.cat([_whole(size), spread, _whole(deviation), *moments[2:]], dim=1)),
                _shares(size, _MSCN_STEPS),
                _shares(deviation, _DEVIATION_STEPS),
                moments[0] / (spread + _EPS),
                -moments[1] / (spread + _EPS),
            ],
            dim=1,
        )

    def _tiles(self, half: Tensor, laplace: Tensor) -> Tensor:
        """Sharpness and contrast per tile of 32 px: the sharpest tile says whether anything is in focus."""
        side = 16
        height, width = half.shape[2] // side, half.shape[3] // side
        energy = F.pad(laplace * laplace, (0, 1, 0, 1), mode="replicate")
        sharp = _log_energy(_tile_means(energy, side)[:, :, :height, :width])
        mean = _tile_means(half, side)
        contrast = torch.log((_tile_means(half * half, side) - mean * mean).clamp(min=0.0) + 1e-5)
        parts = []
        for tiles in (sharp, contrast, sharp - contrast):
            average = _mean(tiles)
            spread = (_mean(tiles * tiles) - average * average).clamp(min=0.0).sqrt()
            parts += [average, spread, tiles.amax(dim=(2, 3)), tiles.amin(dim=(2, 3))]
        parts += [_shares(sharp, _SHARP_STEPS), _shares(mean, (0.05, 0.1, 0.2, 0.8, 0.9))]
        return torch.cat(parts, dim=1)

    def _middle(self, planes: list[Tensor], laplaces: list[Tensor]) -> Tensor:
        """Sharpness and contrast under a Hann window, at five scales: the middle is where the subject is."""
        parts = []
        for scale, (plane, laplace) in enumerate(zip(planes, laplaces, strict=True)):
            fine = laplace * laplace
            sharp = _log_energy((fine * _hann(fine)).sum(dim=(2, 3)))
            seen = planes[1] if scale == 0 else plane
            window = _hann(seen)
            light = (seen * window).sum(dim=(2, 3))
            variance = (seen * seen * window).sum(dim=(2, 3)) - light * light
            contrast = torch.log(variance.clamp(min=0.0) + 1e-4)
            parts += [sharp, sharp - _log_energy(_mean(fine)), contrast, sharp - contrast]
            if scale == 0:
                parts += [light, light - _mean(seen)]
        return torch.cat(parts, dim=1)

    def _exposure(self, luma: Tensor) -> Tensor:
        mean = _mean(luma)
        offset = luma - mean[:, :, None, None]
        variance = _mean(offset * offset)
        level = offset / (variance + 1e-4).sqrt()[:, :, None, None]
        power = level * level
        return torch.cat(
            [mean, variance.sqrt(), _mean(power * level), _log(_mean(power * power)), _shares(luma, _TONE_STEPS)], dim=1
        )

    def _detail_by_tone(self, luma: Tensor) -> Tensor:
        """How much neighbours differ in the shadows, the middle and the lights, and how often not at all: clipping."""
        here, jump = luma[:, :, ::4, :-1:4], (luma[:, :, ::4, 1::4] - luma[:, :, ::4, :-1:4]).abs()
        flat = (jump < _JUMP_STEPS[0]).float()
        parts = []
        for low, high in _TONE_RANGES:
            inside = ((here >= low) & (here < high)).float()
            share = _mean(inside) + 1e-3
            parts += [torch.log((_mean(jump * inside) + _EPS) / share), _mean(flat * inside) / share]
        return torch.cat(parts, dim=1)

    def _jumps(self, luma: Tensor, rgb: Tensor) -> Tensor:
        """Sizes of the jumps between neighbours: in banded tones there are none or large ones, few between."""
        parts = []
        for jump in (
            (luma[:, :, ::8, 1::3] - luma[:, :, ::8, :-1:3]).abs(),
            (luma[:, :, 1::3, ::8] - luma[:, :, :-1:3, ::8]).abs(),
        ):
            above = _shares(jump, _JUMP_STEPS)
            none, small, large = 1.002 - above[:, :1], 1.002 - above[:, 2:3], 1.002 - above[:, 4:5]
            parts += [above, torch.log(none / small), torch.log(none / large)]
        jump = (rgb[:, :, ::8, 1::3] - rgb[:, :, ::8, :-1:3]).abs()
        none, small, large = (_mean((jump < limit).float()) for limit in (0.5, 4.5, 12.5))
        parts += [none, torch.log((none + 2e-3) / (small + 2e-3)), torch.log((none + 2e-3) / (large + 2e-3))]
        return torch.cat(parts, dim=1)

    def _colour(self, rgb: Tensor) -> Tensor:
        high, low = rgb.amax(dim=1, keepdim=True), rgb.amin(dim=1, keepdim=True)
        saturation = (high - low) / (high + 0.05)
        rg = rgb[:, :1] - rgb[:, 1:2]
        yb = (rgb[:, :1] + rgb[:, 1:2]) / 2 - rgb[:, 2:]
        window = _hann(rgb)
        parts = [_shares(saturation, _CHROMA_STEPS), _shares(high, _HIGHEST_STEPS), _shares(low, _LOWEST_STEPS)]
        for chroma in (rg, yb):
            mean = _mean(chroma)
            deviation = (_mean(chroma * chroma) - mean**2).clamp(min=0.0).sqrt()
            near = _around(chroma, stride=1)
            fine = near[0][1] + near[1][0] + near[1][2] + near[2][1] - 4.0 * near[1][1]
            middle = (chroma * window).sum(dim=(2, 3))
            variance = (chroma * chroma * window).sum(dim=(2, 3)) - middle * middle
            parts += [mean, deviation, _log(_mean(fine * fine))]
            parts += [middle - mean, torch.log(variance.clamp(min=0.0) + 1e-5)]
        for turn in range(4):
            direction = cos(turn * pi / 4) * rg + cos(turn * pi / 4 - pi / 2) * yb
            ahead, whole = _mean(direction.clamp(min=0.0)), _mean(direction)
            parts += [ahead, ahead - whole]  # the opposite hue is what is missing from the mean
        haze = -F.max_pool2d(-low, 4, stride=2)
        return torch.cat([*parts, _mean(haze), _shares(haze, (0.02, 0.1, 0.2, 0.4))], dim=1)

    def _spectrum(self, luma: Tensor) -> Tensor:
        """Log energy of the 8 x 8 DCT in rings of frequency and orientation, and how sparse each ring is."""
        freq = F.conv2d(luma, self.dct[1:], stride=8)
        energy = _mean(freq * freq) @ self.rings
        size = _mean(freq.abs()) @ self.rings
        return torch.cat([_log(energy), size / (energy * 1e6 + 1e-3).sqrt() * 1e3], dim=1)

    def _blocking(self, luma: Tensor) -> Tensor:
        """Jump across the 8 px grid of JPEG against the jump inside its blocks, both ways."""
        parts = []
        for turned in (luma[:, :, ::4], luma[:, :, :, ::4].transpose(2, 3)):
            jump = (turned[..., 1:] - turned[..., :-1]).abs()
            column = jump.mean(dim=2, keepdim=True)
            phase = _mean(F.conv2d(column, self.phases, stride=(1, 8)))  # (B, 8); phase 7 is the grid
            inside = phase[:, :7].mean(dim=1, keepdim=True)
            highest = phase.amax(dim=1, keepdim=True)
            parts += [torch.log((phase[:, 7:] + _EPS) / (inside + _EPS)), torch.log((highest + _EPS) / (inside + _EPS))]
        return torch.cat(parts, dim=1)


def _ring_average() -> Tensor:
    """(63, r): averages the DCT frequencies without the mean into rings by radius, each split by orientation."""
    rows = []
    for index in range(1, 64):
        u, v = divmod(index, 8)
        radius = min(int(sqrt(u * u + v * v)), 9)
        lean = 0 if u > 2 * v else 2 if v > 2 * u else 1
        rows.append((radius, lean))
    rings = sorted(set(rows))
    average = torch.zeros(63, len(rings))
    for i, ring in enumerate(rows):
        average[i, rings.index(ring)] = 1.0
    return average / average.sum(dim=0, keepdim=True)
