"""The model behind `--model`: found by name or folder, and turned into a function of tiles. The one place that knows an
engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.restore.enlarge import AlphaChoice
from beholder.restore.finish import ColourFix
from beholder.restore.in_memory import Picture, enlarge_picture
from beholder.restore.options import Decode, Options
from beholder.restore.tiles import FACTOR
from beholder.scoring.table import folder_name

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).parents[1] / "weights"

EMBEDDED = {"alignvar-nano": WEIGHTS / "alignvar-nano"}
"""Models inside the package, by name. The first is the default."""

CONFIG_FILE = "config.json"

_NO_MEMORY = "can't allocate memory"
"""What torch says of a CPU's, in a plain RuntimeError."""

CPU_BATCH = 8
GPU_BATCH = 64


@dataclass(frozen=True)
class Upscaler:
    """A model that makes tiles four times as large, and how it is used where nothing else is asked for.

    >>> upscaler = Upscaler.from_pretrained("alignvar-nano")  # doctest: +SKIP
    >>> large = upscaler(Image.open("cat.jpg"))  # doctest: +SKIP
    """

    name: str
    sha256: str
    """Of its weights."""
    tile: int
    """Side of its tile in input pixels."""
    fidelity: float
    """0 to 1, see `finish`."""
    decode: Decode
    device: str
    batch_size: int
    """Tiles at once."""
    run: Callable[[NDArray[np.float32], Decode, int], NDArray[np.float32]]
    """`(tiles, decode, seed) -> tiles`, as `tiles.TileModel` has them."""
    precision: str = "float32"
    """Of most of its arithmetic, by torch's name."""

    @classmethod
    def from_pretrained(cls, model: str | Path | None = None, *, device: str = "cpu", half: bool = False) -> Upscaler:
        """`load_upscaler`, by the name that such functions have elsewhere."""
        return load_upscaler(model, device=device, half=half)

    def __call__(
        self,
        picture: Picture,
        *,
        scale: float = FACTOR,
        fidelity: float | None = None,
        colour_fix: ColourFix = "lowband",
        decode: Decode | None = None,
        seed: int | None = None,
        alpha: AlphaChoice = "bicubic",
        tile: int | None = None,
        batch_size: int | None = None,
    ) -> Picture:
        """One picture enlarged, as `beholder.upscale` does it, and given back as what it came as.

        A Pillow image keeps depth, transparency, profile and EXIF; one that is neither grey nor RGB becomes RGB. An
        array is (height, width) or (height, width, channels), a tensor (channels, height, width) or (pictures,
        channels, height, width), of 1 to 4 channels: grey or RGB, each with or without transparency. Their values are
        uint8, uint16, or floating point in [0, 1], which is worked on in 16 bits; white is the largest value of the
        type. Options are those of `beholder.upscale`.

        Raises `UserError` (a ValueError) for anything else, and for sides under 16 pixels.
        """
        options = Options(scale, tile, batch_size, fidelity, colour_fix, decode, seed, alpha)
        return enlarge_picture(picture, self, options)


def load_upscaler(model: str | Path | None = None, *, device: str = "cpu", half: bool = False) -> Upscaler:
    """A model by name or from a folder. `device` is one of torch's: `cpu`, `cuda`, `cuda:1`, `mps`.

    `half` has it computed in 16 bits, the kind that the device is made for; what must not, such as the sum of codes,
    stays in 32. Raises `UserError` where there is no such model, its folder is damaged, or the device is not there or
    gains nothing from `half`.
    """
    folder = _folder(model)
    import torch  # only now: it takes seconds

    from beholder.alignvar.decode import upscale_tiles
    from beholder.alignvar.folder import load

    chosen = _device(device)
    precision = _half_type(chosen) if half else torch.float32
    loaded = load(folder, chosen)

    def run(tiles: NDArray[np.float32], decode: Decode, seed: int) -> NDArray[np.float32]:
        lr = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(chosen)
        with torch.inference_mode(), torch.autocast(chosen.type, precision, enabled=half):
            large = in_halves(
                lambda part: upscale_tiles(loaded.model, loaded.tokeniser, part, decode=decode, seed=seed), lr
            )
        return large.float().cpu().numpy().transpose(0, 2, 3, 1)

    return Upscaler(
        name=folder_name(folder),
        sha256=loaded.sha,
        tile=loaded.tile,
        fidelity=loaded.fidelity,
        decode=loaded.decode,
        device=str(chosen),
        batch_size=CPU_BATCH if chosen.type == "cpu" else GPU_BATCH,
        run=run,
        precision=str(precision).removeprefix("torch."),
    )


def in_halves(run: Callable[[torch.Tensor], torch.Tensor], tiles: torch.Tensor) -> torch.Tensor:
    """`run` over all tiles at once, or over halves of them, and so on, where memory is short."""
    import torch

    try:
        return run(tiles)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and _NO_MEMORY not in str(error):
            raise
        if len(tiles) == 1:
            elsewhere = "" if tiles.device.type == "cpu" else ". Try: --device cpu"
            raise UserError(
                f"one tile of {tiles.shape[-1]} px takes more memory than {tiles.device} has free{elsewhere}"
            ) from None
    # Out of the except clause, whose traceback would keep the memory of the failed run.
    torch.cuda.empty_cache()
    half = len(tiles) // 2
    return torch.cat([in_halves(run, tiles[:half]), in_halves(run, tiles[half:])])


def _folder(model: str | Path | None) -> Path:
    name = next(iter(EMBEDDED)) if model is None else str(model)
    folder = EMBEDDED.get(name, Path(name))
    if (folder / CONFIG_FILE).is_file():
        return folder
    if name in EMBEDDED:
        raise UserError(
            f"this release has no embedded weights for upscaling ({name}). Name a folder with --model, or train one: "
            "beholder train alignvar-tokenizer, then beholder train alignvar"
        )
    if folder.exists():
        raise UserError(f"--model {name} is not a model for upscaling: it has no {CONFIG_FILE}")
    raise UserError(f"--model {name}: no such folder, and no model of that name. Known by name: {', '.join(EMBEDDED)}")


def _device(name: str) -> torch.device:
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()  # of `meta` and the like nothing comes back
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason}. Try: --device cpu") from None
    return device


def _half_type(device: torch.device) -> torch.dtype:
    """The 16-bit type that a device computes fast. Raises `UserError` where it has none."""
    import torch

    from beholder.training.precision import computes_bfloat16

    if computes_bfloat16(device.type):
        return torch.bfloat16
    if device.type in ("cuda", "mps"):
        return torch.float16
    raise UserError(
        f"--half: {device} computes 16 bits slower than 32, or not at all. Leave it out, or use --device cuda"
    )
