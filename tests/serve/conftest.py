from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import RenderPicture
from PIL import Image
from tiny_model import write_tiny_checkpoint

from .running import Running, running


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("models") / "tiny", seed=1)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, render_picture: RenderPicture) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"photo{i}.jpg" for i in range(4)]
    for i, path in enumerate(paths):
        render_picture(i, [(96, 64), (64, 96)][i % 2]).save(path)
    return paths


@pytest.fixture(scope="session")
def slow_picture() -> bytes:
    """A small file of 100 megapixels, which takes about a second to decode."""
    file = io.BytesIO()
    Image.new("RGB", (10_000, 10_000), "teal").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Iterator[Running]:
    """A server with small limits, and one host whose addresses it fetches."""
    limits = ("--max-mb", "0.5", "--max-pixels", "1000000", "--max-pictures", "4", "--queue", "8", "--workers", "2")
    with running(
        tmp_path_factory.mktemp("uploads"), "--model", str(tiny), *limits, "--url-host", "127.0.0.1:1"
    ) as started:
        yield started


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client
