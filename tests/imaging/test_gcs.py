"""Pictures of a Google Cloud Storage bucket, from a server on loopback that speaks its protocol."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RenderPicture
from tar_files import jpeg, write_tar
from tiny_model import write_tiny_checkpoint

import beholder
from beholder.imaging.find import find_images

gcsfs = pytest.importorskip("gcsfs", reason="needs gcsfs")
emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, render_picture: RenderPicture, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    started = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="photos")
    started.start()
    gcsfs.GCSFileSystem.clear_instance_cache()
    store = gcsfs.GCSFileSystem()
    store.pipe("photos/a.jpg", jpeg(render_picture(1, (80, 60))))
    store.pipe("photos/sub/b.jpg", jpeg(render_picture(2, (64, 64))))
    store.pipe("photos/x.tar", write_tar(tmp_path / "x.tar", {"0.jpg": jpeg(render_picture(3, (70, 50)))}).read_bytes())
    yield "photos"
    gcsfs.GCSFileSystem.clear_instance_cache()
    started.stop()


@pytest.mark.parametrize("scheme", ["gs", "gcs"])
def test_a_bucket_is_scored_as_a_folder(scheme: str, bucket: str, tmp_path: Path) -> None:
    top = f"{scheme}://{bucket}"
    assert find_images([top]) == [f"{top}/a.jpg", f"{top}/sub/b.jpg"]
    model = write_tiny_checkpoint(tmp_path / "model")
    run = beholder.score(
        [top, f"{top}/x.tar", f"{top}/gone.jpg"], model=model, workers=2, out=tmp_path / "scores.parquet"
    )
    rows = run.table.to_pylist()
    assert [row["path"].removeprefix(top) for row in rows] == ["/a.jpg", "/sub/b.jpg", "/x.tar::0.jpg", "/gone.jpg"]
    assert [row["status"] for row in rows] == ["ok"] * 3 + ["unreadable"]
    assert [row["width"] for row in rows[:3]] == [80, 64, 70]
