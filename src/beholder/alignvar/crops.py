"""Crops of natural photos: what training sees, and the fixed held-out crops that judge it (section 12 of our spec)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from beholder.alignvar.config import FACTOR
from beholder.alignvar.degrade import Preset, degrade
from beholder.alignvar.recipe import CropsConfig, PhotosConfig
from beholder.errors import UserError
from beholder.imaging.find import find_images
from beholder.imaging.open import open_image, stored_size
from beholder.imaging.status import ImageError

TRAIN, JUDGE = 0, 1
"""First words of the seeds, so that no training crop is drawn as a held-out one is."""

KEPT_BYTES = 4_000_000_000
"""Of pixels, with their copies at half the size, that a process keeps in memory. Of a larger set it reads each photo
again whenever a crop of it is drawn: the 85,000 of LSDIR would not fit, and decoding is loaders' work."""


@dataclass(frozen=True)
class Photo:
    """A photo, kept in memory or read at each use."""

    path: Path
    side: int
    """Pixels of its shorter side."""
    kept: tuple[Tensor, Tensor] | None
    """Itself, and its copy at half the size, as `pixels` gives them; None where it is read at each use."""

    @property
    def name(self) -> str:
        """Of the file, without its folder."""
        return self.path.name

    def holds(self, side: int, *, half: bool = False) -> bool:
        """Whether a window of `side` pixels fits into the photo, or into its copy at half the size."""
        return self.side // (1 + half) >= side

    def pixels(self, *, half: bool = False) -> Tensor:
        """RGB as uint8 (3, H, W), or (3, H // 2, W // 2), means over 2 x 2 pixels. Raises UserError."""
        if self.kept is not None:
            return self.kept[half]
        whole = _decoded(self.path)
        return _halved(whole) if half else whole


@dataclass(frozen=True)
class Photos:
    """Photos by what they are for."""

    train: tuple[Photo, ...]
    held_out: tuple[Photo, ...]
    too_small: int
    """Photos left out because no crop fits into them."""


def read_photos(config: PhotosConfig, side: int) -> Photos:
    """All photos; those with a side below `side` pixels are left out. In memory, if they fit into `KEPT_BYTES`.

    Raises UserError for a photo that can't be read (of a set that is not kept, one whose header can't), for a held-out
    name that is in no folder, and where nothing is left to learn from or to judge by.
    """
    names = _held_out_names(config.held_out)
    paths = [Path(path) for path in find_images([str(folder) for folder in config.folders])]
    if missing := sorted(names - {path.name for path in paths}):
        raise UserError(
            f"{config.held_out} names {missing[0]} and {len(missing) - 1} more that are in none of "
            f"{', '.join(str(folder) for folder in config.folders)}; held-out photos must be there to be left out"
        )
    sizes = {path: _size(path) for path in paths}
    fitting = [path for path in paths if min(sizes[path]) >= side]
    is_kept = sum(1.25 * 3 * math.prod(sizes[path]) for path in fitting) <= KEPT_BYTES
    train: list[Photo] = []
    held_out: list[Photo] = []
    for path in fitting:
        kept = None
        if is_kept:
            whole = _decoded(path)
            kept = (whole, _halved(whole))
        (held_out if path.name in names else train).append(Photo(path, min(sizes[path]), kept))
    too_small = len(paths) - len(fitting)
    for photos, use in ((train, "to learn from"), (held_out, "held out")):
        if not photos:
            raise UserError(f"no photo {use} has sides of {side} px or more; {too_small} are smaller")
    return Photos(tuple(train), tuple(held_out), too_small)


class Crops(Dataset[dict[str, Tensor]]):
    """Item i of a run, drawn with seed (seed, i) alone: any process, worker or resumed run draws the same one.

    `hr` is uint8 (3, side, side). With `shares` of presets there is `lr` too, float32 (3, side / 4, side / 4) in
    [0, 1].
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        side: int,
        config: CropsConfig,
        *,
        length: int,
        seed: int,
        shares: dict[Preset, float] | None = None,
        margin: int = 0,
    ) -> None:
        """`margin`: pixels around the HR crop that are degraded with it, at most."""
        self.photos, self.side, self.config, self.length = photos, side, config, length
        self.seed, self.shares, self.margin = seed, shares, margin

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, TRAIN, index))
        photo = self.photos[int(rng.integers(len(self.photos)))]
        if self.shares is None:
            return {"hr": draw_crop(photo, self.side, self.config, rng)}
        window = draw_crop(photo, self.side + 2 * self.margin, self.config, rng, least=self.side)
        preset = list(self.shares)[rng.choice(len(self.shares), p=list(self.shares.values()))]
        lr = degrade(window[None].float() / 255, preset, [int(rng.integers(2**63))])[0]
        small = self.side // FACTOR
        top, left = rng.integers(lr.shape[1] - small + 1), rng.integers(lr.shape[2] - small + 1)
        hr = window[:, top * FACTOR :, left * FACTOR :][:, : self.side, : self.side]
        return {"hr": hr.contiguous(), "lr": lr[:, top:, left:][:, :small, :small].contiguous()}


def draw_crop(photo: Photo, side: int, config: CropsConfig, rng: np.random.Generator, *, least: int = 0) -> Tensor:
    """A window of a photo, turned, mirrored and rescaled at random: uint8 (3, side, side).

    A copy too small for the window is not drawn, and where not even the photo holds it, the window shrinks to what it
    holds, a multiple of 4 and at least `least`.
    """
    source = photo.pixels(half=rng.random() < config.halved and photo.holds(side, half=True))
    _, height, width = source.shape
    side = side if min(height, width) >= side else max(least, min(height, width) // FACTOR * FACTOR)
    scale = max(rng.uniform(*config.rescale), side / min(height, width))
    seen = min(math.ceil(side / scale), height, width)
    top, left = rng.integers(height - seen + 1), rng.integers(width - seen + 1)
    window = source[:, top : top + seen, left : left + seen]
    if seen != side:
        window = resize_8_bit(window, side)
    if config.turned:
        window = window.rot90(int(rng.integers(4)), (1, 2))
    return (window.flip(2) if rng.random() < 0.5 else window).contiguous()


def resize_8_bit(picture: Tensor, side: int) -> Tensor:
    """Antialiased bicubic: uint8 (3, H, W) -> uint8 (3, side, side)."""
    resized = F.interpolate(picture[None].float(), size=(side, side), mode="bicubic", antialias=True)[0]
    return resized.round().clamp(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Judged:
    """Held-out crops, the same in every run, by turns whole and half the size of the photo."""

    hr: Tensor
    """uint8 (N, 3, side, side)."""
    lr: dict[str, Tensor]
    """Preset -> float32 (N, 3, side / 4, side / 4) in [0, 1]."""

    def by_turns(self) -> Tensor:
        """One LR picture per crop. The preset changes every second crop, as the size does every crop."""
        presets = list(self.lr)
        return torch.stack([self.lr[presets[i // 2 % len(presets)]][i] for i in range(len(self.hr))])


def held_out_crops(photos: Sequence[Photo], side: int, per_photo: int, presets: Sequence[Preset] = ()) -> Judged:
    """`per_photo` crops of each photo, by turns whole and half its size, neither turned nor rescaled."""
    crops = []
    for number, photo in enumerate(photos):
        rng = np.random.default_rng((JUDGE, number))
        for turn in range(per_photo):
            source = photo.pixels(half=bool(turn % 2) and photo.holds(side, half=True))
            top, left = (int(rng.integers(length - side + 1)) for length in source.shape[1:])
            crops.append(source[:, top : top + side, left : left + side].clone())  # not a view that keeps the photo
    hr = torch.stack(crops)
    return Judged(hr, {preset: degrade(hr.float() / 255, preset, range(len(hr))) for preset in presets})


def _held_out_names(file: Path) -> set[str]:
    if not file.is_file():
        raise UserError(f"photos.held_out is {file}, which is not a file; it lists names of photos, one a line")
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line and not line.startswith("#")}


def _size(path: Path) -> tuple[int, int]:
    try:
        return stored_size(path)
    except ImageError as error:
        raise _unreadable(path, error) from None


def _decoded(path: Path) -> Tensor:
    try:
        rgb = open_image(path).rgb
    except ImageError as error:
        raise _unreadable(path, error) from None
    return torch.from_numpy(rgb).permute(2, 0, 1).contiguous()


def _halved(whole: Tensor) -> Tensor:
    return F.avg_pool2d(whole[None].float(), 2)[0].round().to(torch.uint8)


def _unreadable(path: Path, error: ImageError) -> UserError:
    return UserError(f"{path} can't be learned from: {error}")
