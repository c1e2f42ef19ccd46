"""What can be asked of an enlargement, checked, and a model's own values where nothing is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast, get_args

from beholder.errors import UserError
from beholder.restore.enlarge import AlphaChoice, Method
from beholder.restore.finish import ColourFix
from beholder.restore.tiles import FACTOR, TileModel

if TYPE_CHECKING:
    from beholder.restore.upscaler import Upscaler

Decode = Literal["greedy", "sample", "soft", "mixed"]
"""How tokens become codes: the most probable one, a drawn one, the expected one, or `soft` with `greedy` at the last
scale."""

SCALES = (1.0, 8.0)
"""Smallest and largest `scale`."""

SEEDS = 2**63
"""How many there are, from 0."""


@dataclass(frozen=True)
class Options:
    """What is asked for; None is left to the model. Raises `UserError` for what no model can do."""

    scale: float = FACTOR
    """Output pixels per input pixel along each side, 1 to 8."""
    tile: int | None = None
    """How far tiles lie apart at most, in input pixels."""
    batch_size: int | None = None
    """Tiles at once."""
    fidelity: float | None = None
    """0 to 1, see `finish`."""
    colour_fix: ColourFix = "lowband"
    decode: Decode | None = None
    seed: int | None = None
    """For `decode = "sample"` alone."""
    alpha: AlphaChoice = "bicubic"

    def __post_init__(self) -> None:
        low, high = SCALES
        if not low <= self.scale <= high:
            raise UserError(
                f"--scale {self.scale:g}: allowed are {low:g} to {high:g}; the model itself makes it {FACTOR}"
            )
        if self.fidelity is not None and not 0 <= self.fidelity <= 1:
            raise UserError(
                f"--fidelity {self.fidelity:g}: allowed are 0 (the model's own picture) to 1 (closest to the input)"
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError(f"--batch-size {self.batch_size}: allowed are numbers from 1")
        if self.seed is not None and not 0 <= self.seed < SEEDS:
            raise UserError(f"--seed {self.seed}: allowed are whole numbers from 0 to {SEEDS - 1}")
        _check_word("--colour-fix", self.colour_fix, get_args(ColourFix))
        _check_word("--alpha", self.alpha, get_args(AlphaChoice))
        if self.decode is not None:
            check_decode(self.decode)

    def method(self, upscaler: Upscaler) -> Method:
        """How this model enlarges. Raises `UserError` where the tile is too small for `tile`."""
        return Method(
            tile=upscaler.tile,
            spacing=_spacing(upscaler.tile, self.tile),
            batch_size=self.batch_size or upscaler.batch_size,
            scale=self.scale,
            fidelity=upscaler.fidelity if self.fidelity is None else self.fidelity,
            colour_fix=self.colour_fix,
            alpha=self.alpha,
        )

    def decode_of(self, upscaler: Upscaler) -> Decode:
        """How this model decodes. Raises `UserError` for a seed where nothing is drawn."""
        decode = check_decode(self.decode or upscaler.decode)
        if self.seed is not None and decode != "sample":
            raise UserError(
                f"--seed {self.seed} says nothing to --decode {decode}, which draws nothing; it goes with sample"
            )
        return decode

    def tile_model(self, upscaler: Upscaler) -> TileModel:
        """The model as a function of tiles."""
        decode, seed = self.decode_of(upscaler), self.seed or 0
        return lambda tiles: upscaler.run(tiles, decode, seed)


def check_decode(decode: str) -> Decode:
    """`decode` as one of `Decode`. Raises `UserError` for another word."""
    _check_word("--decode", decode, get_args(Decode))
    return cast(Decode, decode)


def _spacing(tile: int, wanted: int | None) -> int:
    """How far tiles lie apart: a quarter of them overlaps at least."""
    most = 3 * tile // 4
    if wanted is None:
        return most
    if not 1 <= wanted <= most:
        raise UserError(
            f"--tile {wanted}: this model's tile has {tile} input pixels, so they can lie 1 to {most} apart. "
            "Try: --tile auto"
        )
    return wanted


def _check_word(option: str, word: str, allowed: tuple[str, ...]) -> None:
    if word not in allowed:
        raise UserError(f"{option} {word}: allowed are {', '.join(allowed)}")
