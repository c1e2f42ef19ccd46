"""The model behind `--model`: found by name or folder, and turned into a function of tiles. The one place that knows an
engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.scoring.table import folder_name

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).parents[1] / "weights"

EMBEDDED = {"alignvar-nano": WEIGHTS / "alignvar-nano"}
"""Models inside the package, by name. The first is the default."""

CONFIG_FILE = "config.json"

Decode = Literal["greedy", "sample", "soft", "mixed"]
"""How tokens become codes: the most probable one, a drawn one, the expected one, or `soft` with `greedy` at the last
scale."""

CPU_BATCH = 8
GPU_BATCH = 64


@dataclass(frozen=True)
class Upscaler:
    """A model that makes tiles four times as large, and how it is used where nothing else is asked for."""

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


def load_upscaler(model: str | Path | None = None, *, device: str = "cpu") -> Upscaler:
    """A model by name or from a folder. `device` is one of torch's: `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises `UserError` where there is no such model, its folder is damaged, or the device is not there.
    """
    folder = _folder(model)
    import torch  # only now: it takes seconds

    from beholder.alignvar.decode import upscale_tiles
    from beholder.alignvar.folder import load

    chosen = _device(device)
    loaded = load(folder, chosen)

    def run(tiles: NDArray[np.float32], decode: Decode, seed: int) -> NDArray[np.float32]:
        lr = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(chosen)
        with torch.inference_mode():
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
    )


def in_halves(run: Callable[[torch.Tensor], torch.Tensor], tiles: torch.Tensor) -> torch.Tensor:
    """`run` over all tiles at once, or over halves of them, and so on, where memory is short."""
    import torch

    try:
        return run(tiles)
    except torch.OutOfMemoryError:
        if len(tiles) == 1:
            raise UserError(
                f"one tile of {tiles.shape[-1]} px takes more memory than {tiles.device} has free. Try: --device cpu"
            ) from None
    # Out of the except clause, whose traceback would keep the memory of the failed run.
    torch.cuda.empty_cache()
    half = len(tiles) // 2
    return torch.cat([in_halves(run, tiles[:half]), in_halves(run, tiles[half:])])


def check_decode(decode: str) -> Decode:
    """`decode` as one of `Decode`. Raises `UserError` for another word."""
    if decode in get_args(Decode):
        return cast(Decode, decode)
    raise UserError(f"--decode {decode}: allowed are {', '.join(get_args(Decode))}")


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
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--device {name}: {reason}. Try: --device cpu") from None
    return device
