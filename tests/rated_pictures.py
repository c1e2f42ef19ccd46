"""Rendered pictures that are the better, the brighter they are, with rationales that say how bright they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from beholder.data.columns import make_table
from beholder.data.manifest import Manifest, write_manifest
from beholder.task import ScoreRange, Task, level_of

DECLARED = ScoreRange(1, 5)
WORDS = ("black", "dark", "grey", "light", "white")


def write_rated(root: Path, task: Task, *, n_train: int, n_test: int = 0) -> Manifest:
    """A set of small pictures in `root`, rated from 1 to 5."""
    root.mkdir(parents=True)
    n = n_train + n_test
    rng = np.random.default_rng(len(task))
    units = rng.permutation(np.linspace(0.0, 1.0, n)).tolist()
    for i, unit in enumerate(units):
        pixels = 20 + 210 * unit + rng.normal(0, 8, (40, 52, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / f"{i}.png")
    columns: dict[str, list[Any]] = {
        "path": [f"{i}.png" for i in range(n)],
        "score": [DECLARED.from_unit(unit) for unit in units],
        "split": ["train"] * n_train + ["test"] * n_test,
    }
    table = make_table(columns, DECLARED, lambda row: f"row {row + 1}")
    manifest = Manifest(f"bright-{task}", task, DECLARED, "row", "own work", "rendered", root, table)
    write_manifest(manifest, root)
    return manifest


def rationale_rows(manifest: Manifest, file: Path) -> list[dict[str, Any]]:
    """Rows of the train part, as `beholder data rationales` writes them; those of aesthetics are longer."""
    rows = []
    for name, split, unit in zip(
        manifest.column("path"), manifest.column("split"), manifest.unit_scores(), strict=True
    ):
        word = WORDS[min(4, int(5 * unit))]
        text = f"This is a {word} thing." + (f" It is {word} all over." * 3 if manifest.task == "aesthetics" else "")
        path = (manifest.image_root / name).relative_to(file.parent)
        rows.append(
            {
                "image_id": name, "path": path.as_posix(), "task": manifest.task, "target": 100 * float(unit),
                "level": level_of(float(unit)), "rationales": [text], "status": "ok", "error": None, "split": split,
            }
        )  # fmt: skip
    return [row for row in rows if row.pop("split") == "train"]


def write_rationales(manifest: Manifest, file: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    """A file of rationales; `rows` if they are not those of `rationale_rows`."""
    rows = rationale_rows(manifest, file) if rows is None else rows
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file
