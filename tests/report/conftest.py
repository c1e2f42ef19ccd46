from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from conftest import RenderPicture

from beholder.batch.files import write_rows
from beholder.batch.rows import rows_table
from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.scoring.table import resolve

HOSTILE = "<img src=x onerror=alert(1)>&\"'.jpg"


@pytest.fixture(scope="session")
def card() -> Card:
    return resolve("beholder-mini").card()


def levels(mean: float) -> tuple[float, ...]:
    shares = np.exp(-((np.arange(5) * 25 - mean) ** 2) / 800)
    return tuple(float(share) for share in shares / shares.sum())


@pytest.fixture(scope="session")
def holiday(tmp_path_factory: pytest.TempPathFactory, render_picture: RenderPicture, card: Card) -> Path:
    """`holiday/scores.parquet`: 30 scored pictures in two folders, whose scores are known, and 3 that failed.

    Quality rises with the number in the name, 10 to 68; aesthetics falls, 90 to 32.
    """
    folder = tmp_path_factory.mktemp("holiday")
    scores = []
    for i in range(30):
        place = folder / ("beach" if i % 3 else "town hall")
        place.mkdir(exist_ok=True)
        path = place / (HOSTILE if i == 7 else f"{i:02d}.jpg")
        render_picture(i, (160, 120)).save(path)
        quality, aesthetics = 10.0 + 2 * i, 90.0 - 2 * i
        reason = "Sharp <i>throughout</i>." if i == 28 else None
        scores.append(
            Score(
                quality, aesthetics, levels(quality), levels(aesthetics), reason, path=str(path), width=160, height=120
            )
        )
    for name, status, error in (
        ("empty.jpg", "unreadable", "file is empty (0 bytes)"),
        ("page.jpg", "unsupported", "not a picture but an <b>HTML</b> page"),
        ("half.jpg", "unreadable", "damaged or truncated JPEG: image file is truncated"),
    ):
        scores.append(Score(path=str(folder / "beach" / name), status=status, error=error))  # type: ignore[arg-type]
    write_rows([rows_table(scores, card)], folder / "scores.parquet")
    return folder


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory, render_picture: RenderPicture, card: Card) -> Path:
    """`crowd/scores.parquet`: 10,000 scored pictures, which are links to twenty files."""
    folder = tmp_path_factory.mktemp("crowd")
    rng = np.random.default_rng(0)
    for i in range(20):
        render_picture(i, (96, 72)).save(folder / f"original-{i}.jpg")
    scores = []
    for i in range(10_000):
        path = folder / f"{i // 500:02d}" / f"{i:05d}.jpg"
        path.parent.mkdir(exist_ok=True)
        os.link(folder / f"original-{i % 20}.jpg", path)
        quality, aesthetics = (float(value) for value in rng.normal((55, 50), (15, 18)).clip(0, 100))
        scores.append(
            Score(quality, aesthetics, levels(quality), levels(aesthetics), path=str(path), width=96, height=72)
        )
    write_rows([rows_table(scores, card)], folder / "scores.parquet")
    return folder


def data_of(page: str) -> dict[str, object]:
    """The rows that a page holds."""
    found: dict[str, object] = json.loads(page.split('id="data">')[1].split("</script>")[0])
    return found
