"""Pictures of an S3 bucket, from a server on loopback that speaks its protocol (moto)."""

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

s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
server = pytest.importorskip("moto.server", reason="needs moto[server]")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, render_picture: RenderPicture, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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
    store.mkdir("photos")
    store.pipe("photos/a.jpg", jpeg(render_picture(1, (80, 60))))
    store.pipe("photos/sub/b.jpg", jpeg(render_picture(2, (64, 64))))
    store.pipe("photos/x.tar", write_tar(tmp_path / "x.tar", {"0.jpg": jpeg(render_picture(3, (70, 50)))}).read_bytes())
    yield "s3://photos"
    s3fs.S3FileSystem.clear_instance_cache()
    started.stop()


def test_a_bucket_is_scored_as_a_folder(bucket: str, tmp_path: Path) -> None:
    assert find_images([bucket]) == [f"{bucket}/a.jpg", f"{bucket}/sub/b.jpg"]
    model = write_tiny_checkpoint(tmp_path / "model")
    run = beholder.score(
        [bucket, f"{bucket}/x.tar", f"{bucket}/gone.jpg"], model=model, workers=2, out=tmp_path / "scores.parquet"
    )
    rows = run.table.to_pylist()
    assert [row["path"].removeprefix(bucket) for row in rows] == ["/a.jpg", "/sub/b.jpg", "/x.tar::0.jpg", "/gone.jpg"]
    assert [row["status"] for row in rows] == ["ok"] * 3 + ["unreadable"]
    assert [row["width"] for row in rows[:3]] == [80, 64, 70]
