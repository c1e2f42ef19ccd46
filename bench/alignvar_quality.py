"""Is AlignVAR better than interpolation? Held-out photos through the whole of `beholder upscale`, and the release gate.

    python bench/alignvar_quality.py                                    # the model in the package
    python bench/alignvar_quality.py runs/alignvar/nano/model --model cnn=runs/alignvar/cnn
    python bench/alignvar_quality.py --photos 8                         # a first look

The photos are those that `recipes/alignvar/held-out.txt` names, which no training step has seen; the centre of each,
240 x 240 px, so that all of it takes some minutes on two cores. The input is a quarter of that: once clean (antialiased
bicubic), once degraded (`realesrgan-mild`, seeded). Ours is enlarged as a user would have it, with default settings:
tiles, low band, fidelity. Bicubic is that of the gate in training; "bicubic, fidelity 1" has the same back-projection
as ours. The ceiling is what the tokeniser makes of the true codes, through the same tiles. Quality and aesthetics are
the scores of `beholder-mini`, which looks at a picture alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import alignvar_cnn
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from record import RESULTS, ROOT, Table, at_least, at_most, busy_share, publish, script

from beholder.alignvar import folder as model_folder
from beholder.alignvar.config import FACTOR
from beholder.alignvar.degrade import Preset, degrade
from beholder.alignvar.degrade import enlarge as bicubic
from beholder.alignvar.gate import Fidelity, measure, release_gate
from beholder.errors import UserError
from beholder.evaluate.bootstrap import percentile_interval, resample_counts, two_sided_p
from beholder.evaluate.restoration import high_frequency_energy
from beholder.imaging.find import find_images
from beholder.imaging.open import open_image
from beholder.restore.tiles import grid
from beholder.restore.upscaler import EMBEDDED, Upscaler, load_upscaler
from beholder.scoring.model import load as load_scorer

FOLDERS = tuple(ROOT.parent / "shared/data" / name / "images" for name in ("natural_bsds400", "natural_t91"))
HELD_OUT = ROOT / "recipes/alignvar/held-out.txt"
SIDE = 240
INPUTS: dict[str, Preset] = {"clean": "bicubic", "degraded": "realesrgan-mild"}
RESAMPLES = 2000
BORDER = 4
"""Pixels left out by `gate.measure`, here again for the energies of single pictures."""

OURS, BICUBIC, LANCZOS, PROJECTED, CEILING, TRUE = (
    "ours",
    "bicubic",
    "Lanczos",
    "bicubic, fidelity 1",
    "tokeniser ceiling",
    "the photos themselves",
)
COLUMNS = {
    "psnr": ("PSNR-Y, dB", 2),
    "ssim": ("SSIM-Y", 4),
    "gmsd": ("GMSD", 4),
    "high_frequency": ("high frequencies", 2),
    "lr_consistency": ("LR consistency, dB", 1),
    "quality": ("quality", 1),
    "aesthetics": ("aesthetics", 1),
}
"""Metric -> title and decimal places."""

RGB = NDArray[np.uint8]
Enlarge = Callable[[RGB, RGB], RGB]
"""(input, true picture) -> enlarged; only the ceiling looks at the true one."""
Values = dict[str, NDArray[np.float64]]
"""Numbers per picture: those of `COLUMNS`, but `energy` and `true_energy` for the ratio of high frequencies."""


@dataclass(frozen=True)
class Photos:
    """What is enlarged, and what it should become."""

    names: tuple[str, ...]
    true: tuple[RGB, ...]
    inputs: dict[str, tuple[RGB, ...]]
    """One quarter-size picture of each, per row of `INPUTS`."""


def read_photos(folders: Sequence[Path], held_out: Path, n: int | None, side: int = SIDE) -> Photos:
    """Centres of the held-out photos. Raises UserError where one is not there or too small."""
    lines = held_out.read_text(encoding="utf-8").splitlines()
    names = [line for line in lines if line and not line.startswith("#")][:n]
    missing_folder = next((folder for folder in folders if not folder.is_dir()), None)
    if missing_folder is not None:
        raise UserError(f"{missing_folder} is not there; name the folders of the photos with --folder")
    found = {Path(path).name: path for path in find_images([str(folder) for folder in folders])}
    true = []
    for name in names:
        if name not in found:
            raise UserError(f"{held_out.name} names {name}, which is in none of {', '.join(map(str, folders))}")
        rgb = open_image(found[name]).rgb
        if min(rgb.shape[:2]) < side:
            raise UserError(f"{name} has {rgb.shape[1]} x {rgb.shape[0]} pixels; {side} are needed")
        top, left = ((length - side) // 2 // FACTOR * FACTOR for length in rgb.shape[:2])
        true.append(np.ascontiguousarray(rgb[top : top + side, left : left + side]))
    small = {
        kind: tuple(to_pixels(degrade(to_tensor(picture), preset, [i])) for i, picture in enumerate(true))
        for kind, preset in INPUTS.items()
    }
    return Photos(tuple(names), tuple(true), small)


def methods(
    model: str, others: Mapping[str, str], device: str, side: int = SIDE
) -> tuple[dict[str, Enlarge], Upscaler]:
    """Everything that is compared, by the name of its row, and our model."""
    ours = load_upscaler(model, device=device)
    tokeniser = model_folder.load_tokeniser(EMBEDDED.get(model, Path(model)), device)
    whole = replace(
        ours, name=PROJECTED, tile=side // FACTOR, fidelity=1.0, run=lambda tiles, decode, seed: _bicubic_tiles(tiles)
    )

    def ceiling(small: RGB, true: RGB) -> RGB:
        return replace(ours, run=_TrueCodes(tokeniser, true, ours.tile, small.shape))(small)

    rows: dict[str, Enlarge] = {
        BICUBIC: lambda small, true: to_pixels(bicubic(to_tensor(small))),
        LANCZOS: lambda small, true: np.asarray(
            Image.fromarray(small).resize((FACTOR * small.shape[1], FACTOR * small.shape[0]), Image.Resampling.LANCZOS)
        ),
        PROJECTED: lambda small, true: whole(small),
        OURS: lambda small, true: ours(small),
    }
    for name, folder in others.items():
        rows[name] = _by_upscaler(_other(Path(folder), device))
    return rows | {CEILING: ceiling}, ours


class _TrueCodes:
    """What the tokeniser makes of the true tiles, in the order in which `tiles.enlarged` asks for them."""

    def __init__(self, tokeniser: torch.nn.Module, true: RGB, tile: int, shape: tuple[int, ...]) -> None:
        down, across = (grid(length, tile, 3 * tile // 4).starts for length in shape[:2])
        size = FACTOR * tile
        self._tokeniser = tokeniser
        self._tiles = iter([true[FACTOR * top :, FACTOR * left :][:size, :size] for top in down for left in across])

    @torch.inference_mode()
    def __call__(self, tiles: NDArray[np.float32], decode: str, seed: int) -> NDArray[np.float32]:
        device = next(self._tokeniser.parameters()).device
        lr = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).to(device)
        hr = torch.cat([to_tensor(next(self._tiles)) for _ in tiles]).to(device)
        tokeniser = self._tokeniser
        decoded = tokeniser.decode(tokeniser.fhat(tokeniser.indices(2 * hr - 1, lr))[-1], lr)
        return ((decoded + 1) / 2).clamp(0, 1).float().cpu().numpy().transpose(0, 2, 3, 1)


def look(
    made: Sequence[RGB], photos: Photos, small: Sequence[RGB] | None, judge: Callable[[list[RGB]], Values]
) -> Values:
    """The numbers of pictures beside the true ones; without `small`, those of the true ones themselves."""
    values = judge(list(made))
    values["true_energy"] = np.array([high_frequency_energy(true, border=BORDER) for true in photos.true])
    values["energy"] = np.array([high_frequency_energy(one, border=BORDER) for one in made])
    if small is not None:
        found = [
            measure(_batch(one), _batch(true), _batch(lr))
            for one, true, lr in zip(made, photos.true, small, strict=True)
        ]
        for name in ("psnr", "ssim", "gmsd", "lr_consistency"):
            values[name] = np.array([getattr(one, name) for one in found], np.float64)
    return values


def statistic(values: Values, metric: str, counts: NDArray[np.int64]) -> float:
    """A metric over the pictures, each counted as often as `counts` says; NaN where there is none."""
    if metric == "high_frequency":
        return float(np.sqrt(counts @ values["energy"] / (counts @ values["true_energy"])))
    return float(np.average(values[metric], weights=counts)) if metric in values else float("nan")


def fidelity(values: Values) -> Fidelity:
    """As the gate reads it."""
    ones = np.ones(len(values["psnr"]), np.int64)
    numbers = {name: statistic(values, name, ones) for name in list(COLUMNS)[:5]}
    return Fidelity(**numbers, n=len(ones))


def difference(
    first: Values, second: Values, metric: str, resamples: int = RESAMPLES
) -> tuple[float, float, float, float]:
    """First minus second: value, 95 % interval and p over the same resamples of pictures."""
    ones = np.ones(len(first["energy"]), np.int64)
    draws = [
        statistic(first, metric, counts) - statistic(second, metric, counts)
        for counts in resample_counts(len(ones), None, resamples, 0)
    ]
    array = np.array(draws)
    value = statistic(first, metric, ones) - statistic(second, metric, ones)
    return value, *percentile_interval(array), two_sided_p(array)


def run(
    photos: Photos, rows: Mapping[str, Enlarge], judge: Callable[[list[RGB]], Values]
) -> dict[str, dict[str, Values]]:
    """Input -> row -> numbers, saying where it is on stderr."""
    total, done, start_s = len(INPUTS) * len(rows) * len(photos.names), 0, time.monotonic()
    found: dict[str, dict[str, Values]] = {}
    for kind, smalls in photos.inputs.items():
        found[kind] = {}
        for name, enlarge in rows.items():
            made = []
            row_s = time.monotonic()
            for i, (small, true) in enumerate(zip(smalls, photos.true, strict=True), start=1):
                made.append(enlarge(small, true))
                left = (time.monotonic() - row_s) / i * (len(smalls) - i)
                print(
                    f"\r{kind}, {name}: {i} of {len(smalls)}, {left:.0f} s left for this row   ",
                    end="",
                    file=sys.stderr,
                )
            done += len(made)
            print(f"\n{done} of {total} pictures after {time.monotonic() - start_s:.0f} s", file=sys.stderr)
            found[kind][name] = look(made, photos, smalls, judge)
        found[kind][TRUE] = look(photos.true, photos, None, judge)
    return found


def table(
    found: Mapping[str, Mapping[str, Values]], differences: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]
) -> Table:
    """Means per row, and below them ours minus each interpolation, with intervals."""
    lines = []
    for kind, rows in found.items():
        for name, values in rows.items():
            ones = np.ones(len(values["energy"]), np.int64)
            cells = [_number(statistic(values, metric, ones), places) for metric, (_, places) in COLUMNS.items()]
            lines.append([f"{kind}: {name}", *cells])
        for name, each in differences[kind].items():
            cells = [_difference(each[metric], places) for metric, (_, places) in COLUMNS.items()]
            lines.append([f"{kind}: {OURS} - {name}", *cells])
    return Table(["", *(title for title, _ in COLUMNS.values())], lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours", nargs="?", default=next(iter(EMBEDDED)), help="folder or name of the model")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FOLDER", help="a row more; repeatable")
    parser.add_argument("--folder", action="append", type=Path, help="where the photos are; repeatable")
    parser.add_argument("--held-out", type=Path, default=HELD_OUT)
    parser.add_argument("--photos", type=int, help="the first so many of the list")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--judge", default="beholder-mini")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    others = dict(_named(word) for word in given.model)
    busy = busy_share()
    photos = read_photos(given.folder or FOLDERS, given.held_out, given.photos, given.side)
    rows, ours = methods(given.ours, others, given.device, given.side)
    found = run(photos, rows, _judge(given.judge))
    differences = {
        kind: {
            name: {metric: difference(each[OURS], each[name], metric) for metric in COLUMNS}
            for name in (BICUBIC, LANCZOS, PROJECTED, *others)
        }
        for kind, each in found.items()
    }
    gate = release_gate(fidelity(found["clean"][OURS]), fidelity(found["clean"][BICUBIC]))
    publish(
        "alignvar-quality",
        f"{len(photos.names)} held-out photos, {given.side} x {given.side} px from a quarter, {ours.name} at its "
        f"default settings ({ours.decode}, fidelity {ours.fidelity:g})",
        table(found, differences),
        measured={
            "model": {
                "name": ours.name,
                "weights_sha256": ours.sha256,
                "decode": ours.decode,
                "fidelity": ours.fidelity,
            },
            "photos": photos.names,
            "differences": differences,
            "per_photo": {
                kind: {
                    name: {metric: list(numbers) for metric, numbers in values.items()} for name, values in each.items()
                }
                for kind, each in found.items()
            },
            "gate": asdict(gate) | {"passed": gate.passed},
        },
        limits=[
            at_least("release gate, PSNR-Y on clean input", gate.ours.psnr, round(gate.bicubic.psnr - 1, 4), " dB"),
            at_most("release gate, GMSD", gate.ours.gmsd, round(gate.bicubic.gmsd, 4)),
            at_least(
                "release gate, high frequencies", gate.ours.high_frequency, round(1.5 * gate.bicubic.high_frequency, 4)
            ),
        ],
        notes=[
            f"{gate.name} {'passed' if gate.passed else 'not passed: ' + ', '.join(gate.failed)}.",
            f"Differences with 95 % intervals over {RESAMPLES} resamples of photos. Quality and aesthetics by "
            f"{given.judge}; it sees whether a picture looks sharp and clean, not whether its detail is true.",
        ],
        busy_before=busy,
        folder=given.results,
    )


def to_tensor(picture: RGB) -> torch.Tensor:
    """uint8 (H, W, 3) -> float32 (1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float() / 255


def to_pixels(picture: torch.Tensor) -> RGB:
    """Float (1, 3, H, W) in [0, 1] -> uint8 (H, W, 3)."""
    return (picture[0] * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _batch(picture: RGB) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None]


def _bicubic_tiles(tiles: NDArray[np.float32]) -> NDArray[np.float32]:
    large = bicubic(torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))))
    return large.numpy().transpose(0, 2, 3, 1)


def _by_upscaler(upscaler: Upscaler) -> Enlarge:
    return lambda small, true: upscaler(small)


def _other(folder: Path, device: str) -> Upscaler:
    if (folder / alignvar_cnn.WEIGHTS_FILE).is_file():
        return alignvar_cnn.load_upscaler(folder, device)
    return load_upscaler(folder, device=device)


def _judge(model: str) -> Callable[[list[RGB]], Values]:
    scorer = load_scorer(model)

    def judge(pictures: list[RGB]) -> Values:
        scores = scorer.score(pictures)
        return {
            task: np.array([getattr(score, task) for score in scores], np.float64) for task in ("quality", "aesthetics")
        }

    return judge


def _named(word: str) -> tuple[str, str]:
    name, equals, folder = word.partition("=")
    if not (name and equals and folder):
        raise UserError(f"--model {word}: write NAME=FOLDER")
    return name, folder


def _number(value: float, places: int) -> str:
    return "–" if np.isnan(value) else f"{value:.{places}f}"


def _difference(found: Sequence[float], places: int) -> str:
    value, low, high, _ = found
    return f"{value:+.{places}f} [{low:+.{places}f}, {high:+.{places}f}]"


if __name__ == "__main__":
    script(main)
