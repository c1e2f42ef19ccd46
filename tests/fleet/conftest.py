from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import render
from tiny_model import write_tiny_checkpoint


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model with both heads."""
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny", seed=1)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 1,750 names for twelve photos, and one broken link: four shards."""
    photos = tmp_path_factory.mktemp("photos")
    for i in range(12):
        render(i, [(96, 64), (64, 96), (150, 140)][i % 3]).save(photos / f"{i:02d}.jpg")
    folder = tmp_path_factory.mktemp("crowd")
    for i in range(1750):
        (folder / f"{i:05d}.jpg").symlink_to(photos / f"{i % 12:02d}.jpg" if i != 700 else "nowhere.jpg")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Ray cluster on this machine, to which this process is connected. There is one: starting it takes
    seconds. It has two CPUs and, as far as Ray is told, two GPUs, which Ray deals out without looking at them.
    """
    ray = pytest.importorskip("ray", reason="needs beholder[scale]")
    ray.init(
        address="local",  # whatever else runs here
        num_cpus=2,
        num_gpus=2,
        object_store_memory=100_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()
