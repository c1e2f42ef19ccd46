from __future__ import annotations

from pathlib import Path

import pytest
from conftest import RenderPicture
from tiny_model import write_tiny_checkpoint


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model with both heads, whose scores differ from picture to picture."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny", seed=1)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, render_picture: RenderPicture) -> Path:
    """A folder of twelve small JPEGs of several sizes."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(12):
        render_picture(i, [(96, 64), (64, 96), (150, 140)][i % 3]).save(folder / f"{i:02d}.jpg")
    return folder


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    """A folder of 1,750 names for the twelve photos, and one broken link: four parts, in a second or two."""
    folder = tmp_path_factory.mktemp("crowd")
    originals = sorted(photos.iterdir())
    for i in range(1750):
        (folder / f"{i:05d}.jpg").symlink_to(originals[i % 12] if i != 700 else "nowhere.jpg")
    return folder
