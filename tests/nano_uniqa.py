"""A very small UniQA and a very small rated set, for tests that train."""

from pathlib import Path

import numpy as np
from PIL import Image

from beholder.data.columns import make_table
from beholder.data.manifest import Manifest, write_manifest
from beholder.task import ScoreRange, level_of
from beholder.uniqa.model import Uniqa
from beholder.uniqa.nano import NanoConfig
from beholder.uniqa.prompts import GROUPS

SIZES = {"side": 32, "patch": 8, "width": 32, "layers": 1, "text_width": 32, "text_layers": 1, "feature": 32,
         "vocabulary": 400, "context": 24}  # fmt: skip
NANO = NanoConfig(**SIZES)
PROMPTS = [text for group in GROUPS.values() for text in group]


def tiny_model(seed: int = 0) -> Uniqa:
    from beholder.uniqa.pretrain import nano_model

    return nano_model(NANO, PROMPTS, seed).eval()


def bright(unit: float, seed: int, size: tuple[int, int] = (40, 36)) -> np.ndarray:
    """A noisy grey picture that is the brighter, the higher its score."""
    rng = np.random.default_rng(seed)
    grey = 30 + 190 * unit + rng.normal(0, 12, (size[1], size[0], 3))
    return grey.clip(0, 255).astype(np.uint8)


def write_bright(root: Path, task: str, splits: list[str], name: str | None = None) -> Manifest:
    """A manifest of pictures whose score is their brightness, with a comment each."""
    root.mkdir(parents=True)
    rng = np.random.default_rng(len(splits))
    units = rng.permutation(np.linspace(0.05, 0.95, len(splits)))
    for i, unit in enumerate(units):
        Image.fromarray(bright(unit, i)).save(root / f"{i}.png")
    declared = ScoreRange(1, 5)
    columns = {
        "path": [f"{i}.png" for i in range(len(splits))],
        "score": [declared.from_unit(float(unit)) for unit in units],
        "split": splits,
        "text": [
            f"a {level_of(float(unit))} thing of number {i}, as bright as it gets here" for i, unit in enumerate(units)
        ],
    }
    table = make_table(columns, declared, lambda row: f"row {row + 1}")
    manifest = Manifest(name or f"bright-{task}", task, declared, "row", "own work", "rendered", root, table)
    write_manifest(manifest, root)
    return manifest
