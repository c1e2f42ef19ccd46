"""Pictures of a bucket, from servers on loopback that speak the protocols of S3 (moto) and of Google Cloud Storage."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import RenderPicture
from tar_files import jpeg, write_tar
from tiny_model import write_tiny_checkpoint

import beholder
from beholder.imaging.find import find_images

BUCKET = "photos"


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
    server = pytest.importorskip("moto.server", reason="needs moto[server]")
    port = _free_port()
    started = server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    started.start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir(BUCKET)
    yield store
    s3fs.S3FileSystem.clear_instance_cache()
    started.stop()


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    gcsfs = pytest.importorskip("gcsfs", reason="needs gcsfs")
    emulator = pytest.importorskip("gcp_storage_emulator.server", reason="needs gcp-storage-emulator")
    port = _free_port()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    started = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    started.start()
    gcsfs.GCSFileSystem.clear_instance_cache()
    yield gcsfs.GCSFileSystem()
    gcsfs.GCSFileSystem.clear_instance_cache()
    started.stop()


@pytest.mark.parametrize(("scheme", "server"), [("s3", "s3"), ("gs", "gcs"), ("gcs", "gcs")])
def test_a_bucket_is_scored_as_a_folder(
    scheme: str, server: str, request: pytest.FixtureRequest, render_picture: RenderPicture, tmp_path: Path
) -> None:
    store = request.getfixturevalue(server)
    store.pipe(f"{BUCKET}/a.jpg", jpeg(render_picture(1, (80, 60))))
    store.pipe(f"{BUCKET}/sub/b.jpg", jpeg(render_picture(2, (64, 64))))
    tar = write_tar(tmp_path / "x.tar", {"0.jpg": jpeg(render_picture(3, (70, 50)))})
    store.pipe(f"{BUCKET}/x.tar", tar.read_bytes())
    top = f"{scheme}://{BUCKET}"
    assert find_images([top]) == [f"{top}/a.jpg", f"{top}/sub/b.jpg"]
    model = write_tiny_checkpoint(tmp_path / "model")
    run = beholder.score(
        [top, f"{top}/x.tar", f"{top}/gone.jpg"], model=model, workers=2, out=tmp_path / "scores.parquet"
    )
    rows = run.table.to_pylist()
    assert [row["path"].removeprefix(top) for row in rows] == ["/a.jpg", "/sub/b.jpg", "/x.tar::0.jpg", "/gone.jpg"]
    assert [row["status"] for row in rows] == ["ok"] * 3 + ["unreadable"]
    assert [row["width"] for row in rows[:3]] == [80, 64, 70]
