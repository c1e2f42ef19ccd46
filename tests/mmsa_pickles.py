"""Pickles as MMSA publishes them, small, with random numbers."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SHAPES = {"text": (5, 7), "audio": (9, 3), "vision": (6, 4)}
SIZES = {"train": 40, "valid": 16, "test": 20}


def mmsa_content(
    shapes: Mapping[str, tuple[int, int]] = SHAPES, sizes: Mapping[str, int] = SIZES, *, aligned: bool = False
) -> dict[str, dict[str, Any]]:
    """Text tells the label's sign; the rest is noise. Audio and vision have lengths unless `aligned`."""
    rng = np.random.default_rng(0)
    out: dict[str, dict[str, Any]] = {}
    for split, n in sizes.items():
        label = np.round(rng.uniform(-3, 3, n), 1)
        part: dict[str, Any] = {m: rng.normal(size=(n, *shape)).astype(np.float32) for m, shape in shapes.items()}
        part["text"][:, :, 0] += 2 * label[:, None]
        part["id"] = [f"{split}{i // 2}$_${i}" for i in range(n)]
        part["raw_text"] = [f"words, {i}" for i in range(n)]
        part["annotations"] = np.where(label > 0, "Positive", "Negative")
        part["regression_labels"] = label
        part["text_bert"] = np.zeros((n, 3, 5))
        if not aligned:
            for m in ("audio", "vision"):
                part[f"{m}_lengths"] = rng.integers(1, shapes[m][0] + 1, n).tolist()
        out[split] = part
    return out


def write_mmsa(file: Path, content: object | None = None, protocol: int = 4) -> Path:
    with file.open("wb") as handle:
        pickle.dump(mmsa_content() if content is None else content, handle, protocol=protocol)
    return file
