"""Picture statistics as a torch module: what classical no-reference IQA measures, in operators that ONNX has.

The baseline (`mini.baseline`) needs sorting, searching and a Fourier transform. Here every percentile is a share of
pixels under a fixed threshold, every fitted shape is the pair of moments it is fitted to, and the spectrum is the
energy of an 8 x 8 DCT, whose stride also sees JPEG's blocks. Nothing here is learned.
"""

from __future__ import annotations

from math import cos, pi, sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LUMA = (0.299, 0.587, 0.114)
_EPS = 1e-5

_EDGE_STEPS = tuple(x / 255 for x in (1, 2, 4, 8, 16, 32, 64))
_TONE_STEPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
_CHROMA_STEPS = (0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
_SHARP_STEPS = (-12.0, -10.5, -9.0, -7.5, -6.0, -4.5, -3.0)
_MSCN_STEPS = (0.1, 0.3, 0.6, 1.0, 1.5, 2.2)


def _gaussian_cells(taps: int, sigma: float) -> Tensor:
    """(16, 1, taps + 3, taps + 3): the Gaussian window at each position of a 4 x 4 cell, row-major."""
    x = torch.arange(taps, dtype=torch.float32) - taps // 2
    window = torch.exp(-(x**2) / (2 * sigma**2))
    window = window / window.sum()
    cells = torch.zeros(4, 4, taps + 3, taps + 3)
    for row in range(4):
        for col in range(4):
            cells[row, col, row : row + taps, col : col + taps] = window[:, None] * window[None]
    return cells.reshape(16, 1, taps + 3, taps + 3)


def _dct_bank() -> Tensor:
    """The 64 orthonormal 8 x 8 DCT-II basis pictures, (64, 1, 8, 8), row-major in frequency."""
    basis = torch.tensor(
        [[cos(pi * (x + 0.5) * u / 8) * sqrt((2 if u else 1) / 8) for x in range(8)] for u in range(8)]
    )
    return torch.einsum("ux,vy->uvxy", basis, basis).reshape(64, 1, 8, 8)


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3))


def _log(x: Tensor) -> Tensor:
    return torch.log(x + 1e-7)


def _shares(x_B1HW: Tensor, steps: tuple[float, ...], every: int = 2) -> Tensor:
    """Share of pixels above each threshold, (B, len(steps)), counted on every second row and column."""
    x_B1HW = x_B1HW[:, :, ::every, ::every]
    limits = torch.tensor(steps, device=x_B1HW.device).view(1, -1, 1, 1)
    return _mean((x_B1HW > limits).float())


def _hann(x_BCHW: Tensor) -> Tensor:
    """(H, W) Hann window of a plane, summing to 1."""
    down, across = (
        torch.sin((torch.arange(side, device=x_BCHW.device) + 0.5) * (pi / side)) ** 2 for side in x_BCHW.shape[2:]
    )
    window = down[:, None] * across[None]
    return window / window.sum()


class Statistics(nn.Module):
    """(B, 3, H, W) RGB in [0, 1], both sides at least 64 px -> (B, `width`) finite statistics, not yet standardised."""

    gaussian: Tensor
    laplace: Tensor
    sobel: Tensor
    dct: Tensor
    rings: Tensor
    phases: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gaussian", _gaussian_cells(7, 7 / 6), persistent=False)
        laplace = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
        self.register_buffer("laplace", laplace[None, None], persistent=False)
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        self.register_buffer("sobel", torch.stack([across, across.T])[:, None], persistent=False)
        self.register_buffer("dct", _dct_bank(), persistent=False)
        self.register_buffer("rings", _ring_average(), persistent=False)
        self.register_buffer("phases", torch.eye(8)[:, None, None], persistent=False)
        with torch.inference_mode():
            self.width = self(torch.rand(1, 3, 64, 64)).shape[1]

    def forward(self, rgb_B3HW: Tensor) -> Tensor:
        """All statistics side by side."""
        luma = sum(weight * rgb_B3HW[:, i : i + 1] for i, weight in enumerate(_LUMA))
        assert isinstance(luma, Tensor)
        parts = [self._exposure(luma), self._colour(rgb_B3HW), self._spectrum(luma), self._blocking(luma)]
        parts += [self._middle_colour(rgb_B3HW), self._middle(luma)]
        plane = luma
        for scale in range(4):
            parts.append(self._natural_scene(plane))
            laplace = F.conv2d(plane, self.laplace)
            parts += [_log(_mean(laplace * laplace)), _log(_mean(laplace.abs()))]
            if scale < 2:
                parts += [self._edges(plane, laplace), self._tiles(plane, 32 >> scale)]
            plane = F.avg_pool2d(plane, 2)
        return torch.cat(parts, dim=1)

    def _blur(self, x: Tensor) -> Tensor:
        """Gaussian window at every pixel; sides are multiples of 4.

        One convolution at stride 4 with 16 channels, the 16 positions inside a 4 x 4 cell: an inference engine runs
        it several times faster than two convolutions with one channel.
        """
        cells = F.conv2d(F.pad(x, (3, 3, 3, 3), mode="replicate"), self.gaussian, stride=4)
        return F.pixel_shuffle(cells, 4)

    def _natural_scene(self, plane: Tensor) -> Tensor:
        """Moments of the MSCN coefficients and of their four neighbour products: what BRISQUE's fits are made from."""
        height, width = plane.shape[2] // 4 * 4, plane.shape[3] // 4 * 4
        plane = plane[:, :, :height, :width]
        mean = self._blur(plane)
        deviation = (self._blur(plane * plane) - mean * mean).clamp(min=0.0).sqrt()
        field = (plane - mean) / (deviation + 1 / 255)
        size = field.abs()
        power = _mean(field * field)
        parts = [_log(_mean(size)), _log(power), _shares(size, _MSCN_STEPS)]
        parts += [_log(_mean(deviation)), _shares(deviation, _EDGE_STEPS[:6])]
        for a, b in (
            (field[..., :, :-1], field[..., :, 1:]),
            (field[..., :-1, :], field[..., 1:, :]),
            (field[..., :-1, :-1], field[..., 1:, 1:]),
            (field[..., :-1, 1:], field[..., 1:, :-1]),
        ):
            product = a * b
            up, down = product.clamp(min=0.0), (-product).clamp(min=0.0)
            parts += [_mean(up) / (power + _EPS), _mean(down) / (power + _EPS)]
            parts += [_log(_mean(up * up)), _log(_mean(down * down))]
        return torch.cat(parts, dim=1)

    def _edges(self, plane: Tensor, laplace: Tensor) -> Tensor:
        across, down = F.conv2d(plane, self.sobel).chunk(2, dim=1)
        slope = (across * across + down * down).sqrt()
        return torch.cat(
            [_log(_mean(slope)), _shares(slope, _EDGE_STEPS), _shares(laplace.abs(), _EDGE_STEPS[:6])], dim=1
        )

    def _tiles(self, plane: Tensor, side: int) -> Tensor:
        """Sharpness and contrast per tile: the sharpest tile says whether anything is in focus."""
        laplace = F.conv2d(F.pad(plane, (1, 1, 1, 1), mode="replicate"), self.laplace)
        sharp = torch.log(F.avg_pool2d(laplace * laplace, side) + 1e-8)
        mean = F.avg_pool2d(plane, side)
        contrast = torch.log((F.avg_pool2d(plane * plane, side) - mean * mean).clamp(min=0.0) + 1e-5)
        parts = []
        for tiles in (sharp, contrast, sharp - contrast):
            average = _mean(tiles)
            spread = (_mean(tiles * tiles) - average**2).clamp(min=0.0).sqrt()
            parts += [average, spread, tiles.amax(dim=(2, 3)), tiles.amin(dim=(2, 3))]
        parts += [_shares(sharp, _SHARP_STEPS, 1), _shares(mean, (0.05, 0.1, 0.2, 0.8, 0.9), 1)]
        return torch.cat(parts, dim=1)

    def _middle(self, plane: Tensor) -> Tensor:
        """Sharpness and contrast under a Hann window, at five scales: the middle is where the subject is."""
        window = _hann(plane)
        light = (plane * window).sum(dim=(2, 3))
        parts = [light, light - _mean(plane)]
        for scale in range(5):
            if scale:
                plane = F.avg_pool2d(plane, 2)
                window = _hann(plane)
            laplace = F.conv2d(F.pad(plane, (1, 1, 1, 1), mode="replicate"), self.laplace)
            fine = laplace * laplace
            sharp = torch.log((fine * window).sum(dim=(2, 3)) + 1e-8)
            light = (plane * window).sum(dim=(2, 3))
            variance = ((plane * plane) * window).sum(dim=(2, 3)) - light * light
            contrast = torch.log(variance.clamp(min=0.0) + 1e-4)
            parts += [sharp, sharp - torch.log(_mean(fine) + 1e-8), contrast, sharp - contrast]
        return torch.cat(parts, dim=1)

    def _middle_colour(self, rgb: Tensor) -> Tensor:
        """How the colour of the middle stands out, and how much it varies there."""
        window = _hann(rgb)
        parts = []
        for chroma in (rgb[:, :1] - rgb[:, 1:2], (rgb[:, :1] + rgb[:, 1:2]) / 2 - rgb[:, 2:]):
            mean = (chroma * window).sum(dim=(2, 3))
            variance = (chroma * chroma * window).sum(dim=(2, 3)) - mean * mean
            parts += [mean - _mean(chroma), torch.log(variance.clamp(min=0.0) + 1e-5)]
        return torch.cat(parts, dim=1)

    def _exposure(self, luma: Tensor) -> Tensor:
        mean = _mean(luma)
        offset = luma - mean[:, :, None, None]
        variance = _mean(offset * offset)
        level = offset / (variance + 1e-4).sqrt()[:, :, None, None]
        power = level * level
        return torch.cat(
            [mean, variance.sqrt(), _mean(power * level), _mean(power * power).log(), _shares(luma, _TONE_STEPS)], dim=1
        )

    def _colour(self, rgb: Tensor) -> Tensor:
        high, low = rgb.amax(dim=1, keepdim=True), rgb.amin(dim=1, keepdim=True)
        saturation = (high - low) / (high + 0.05)
        rg = rgb[:, :1] - rgb[:, 1:2]
        yb = (rgb[:, :1] + rgb[:, 1:2]) / 2 - rgb[:, 2:]
        parts = [_shares(saturation, _CHROMA_STEPS), _shares(high, (0.5, 0.9, 0.98)), _shares(low, (0.02, 0.2, 0.5))]
        for chroma in (rg, yb):
            mean = _mean(chroma)
            deviation = (_mean(chroma * chroma) - mean**2).clamp(min=0.0).sqrt()
            fine = F.conv2d(chroma, self.laplace)
            parts += [mean, deviation, _log(_mean(fine * fine))]
        for turn in range(8):
            direction = cos(turn * pi / 4) * rg + cos(turn * pi / 4 - pi / 2) * yb
            parts.append(_mean(direction.clamp(min=0.0)))
        haze = -F.max_pool2d(-low, 7, stride=4)
        return torch.cat([*parts, _mean(haze), _shares(haze, (0.02, 0.1, 0.2, 0.4), 1)], dim=1)

    def _spectrum(self, luma: Tensor) -> Tensor:
        """Log energy of the 8 x 8 DCT in rings of frequency and orientation, and how sparse each ring is."""
        freq = F.conv2d(luma, self.dct[1:], stride=8)
        energy = _mean(freq * freq) @ self.rings
        size = _mean(freq.abs()) @ self.rings
        return torch.cat([_log(energy), size / (energy + 1e-9).sqrt()], dim=1)

    def _blocking(self, luma: Tensor) -> Tensor:
        """Jump across the 8 px grid of JPEG against the jump inside its blocks, both ways, and flat steps."""
        parts = []
        for turned in (luma, luma.transpose(2, 3)):
            jump = (turned[..., 1:] - turned[..., :-1]).abs()
            phase = _mean(F.conv2d(jump, self.phases, stride=(1, 8)))  # (B, 8); phase 7 is the grid
            inside = phase[:, :7].mean(dim=1, keepdim=True)
            highest = phase.amax(dim=1, keepdim=True)
            parts += [torch.log((phase[:, 7:] + _EPS) / (inside + _EPS)), torch.log((highest + _EPS) / (inside + _EPS))]
            parts.append(_mean((jump < 0.5 / 255).float()))
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
