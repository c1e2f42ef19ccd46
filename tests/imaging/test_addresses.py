from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import ClassVar
from uuid import uuid4

import pytest
from conftest import RenderPicture
from tar_files import jpeg, write_tar

from beholder.errors import UserError
from beholder.imaging import addresses
from beholder.imaging.find import NothingFoundError, find_images
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError

fsspec = pytest.importorskip("fsspec", reason="needs beholder[scale]")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402


@pytest.fixture
def bucket(render_picture: RenderPicture, tmp_path: Path) -> str:
    """A folder in memory with pictures, others' files, and a tar file."""
    store = fsspec.filesystem("memory")
    top = f"memory://{uuid4().hex}"
    pictures = [jpeg(render_picture(i, (64 + i, 48))) for i in range(3)]
    shard = write_tar(tmp_path / "x.tar", {"m/0.jpg": pictures[0], "m/1.jpg": pictures[1]}).read_bytes()
    names = {"b.jpg": pictures[1], "a.jpg": pictures[0], "sub/c.JPG": pictures[2], ".hidden/d.jpg": pictures[0]}
    for name, content in {**names, "notes.txt": b"words", "x.tar": shard, "empty.jpg": b""}.items():
        store.pipe(f"{top}/{name}", content)
    return top


def below(top: str, *names: str) -> list[str]:
    return [f"{top}/{name}" for name in names]


def test_a_folder_of_a_store_is_searched_as_a_local_one(bucket: str) -> None:
    assert find_images([bucket]) == below(bucket, "a.jpg", "b.jpg", "empty.jpg", "sub/c.JPG")
    assert find_images([bucket], recursive=False) == below(bucket, "a.jpg", "b.jpg", "empty.jpg")
    assert find_images([f"{bucket}/?.jpg"]) == below(bucket, "a.jpg", "b.jpg")
    assert find_images([f"{bucket}/*.tar"]) == below(bucket, "x.tar::m/0.jpg", "x.tar::m/1.jpg")
    assert find_images([f"{bucket}/x.tar"]) == below(bucket, "x.tar::m/0.jpg", "x.tar::m/1.jpg")
    assert find_images([f"{bucket}/gone.jpg"]) == below(bucket, "gone.jpg")
    with pytest.raises(NothingFoundError, match="there are no pictures at"):
        find_images([f"{bucket}/*.webp"])


def test_a_picture_is_fetched_from_a_store_and_from_an_archive_in_it(bucket: str) -> None:
    assert open_image(f"{bucket}/b.jpg").width == 65
    assert open_image(f"{bucket}/x.tar::m/1.jpg").width == 65


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("gone.jpg", "unreadable", "no such file at this address"),
        ("empty.jpg", "unreadable", "file is empty"),
        ("notes.txt", "unsupported", "not a picture"),
        ("x.tar::m/2.jpg", "unreadable", "no such member"),
        ("gone.tar::m/2.jpg", "unreadable", "no such file at this address"),
    ],
)
def test_what_can_not_be_had_says_why(bucket: str, name: str, status: str, message: str) -> None:
    with pytest.raises(ImageError, match=message) as failed:
        open_image(f"{bucket}/{name}")
    assert failed.value.status == status


def test_no_more_is_fetched_than_allowed(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_BYTES", 100)
    with pytest.raises(ImageError, match="more than 100 bytes") as failed:
        open_image(f"{bucket}/a.jpg")
    assert failed.value.status == "too_large"


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd.jpg", "ftp://host/a.jpg", "simplecache::memory://a.jpg", "github://a/b.jpg"]
)
def test_only_named_schemes_are_fetched(address: str) -> None:
    if "::" not in address:
        with pytest.raises(UserError, match=r":// is not fetched; allowed are http, https, s3"):
            find_images([address])
    with pytest.raises(ImageError):
        open_image(address)


@pytest.mark.parametrize("scheme", ["gs", "gcs", "s3", "az", "abfs"])
def test_a_store_is_reached_through_the_file_system_of_its_scheme(
    scheme: str, render_picture: RenderPicture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file system of each is its library's affair; here another stands in, and must get its names and no others."""

    class Store(MemoryFileSystem):
        protocol = scheme
        store: ClassVar[dict[str, object]] = {}
        pseudo_dirs: ClassVar[list[str]] = [""]

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return "/" + path.removeprefix(f"{scheme}://").strip("/")

    monkeypatch.setitem(import_module("fsspec.registry")._registry, scheme, Store)
    Store().pipe("bucket/sub/a.jpg", jpeg(render_picture(1, (80, 60))))
    for where in (f"{scheme}://bucket", f"{scheme}://bucket/*/*.jpg", f"{scheme}://bucket/sub/a.jpg"):
        assert find_images([where]) == [f"{scheme}://bucket/sub/a.jpg"]
    assert open_image(f"{scheme}://bucket/sub/a.jpg").width == 80


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(UserError, match=r"addresses need fsspec.*pip install 'beholder\[scale\]'"):
        find_images(["s3://bucket/pictures"])
    with pytest.raises(ImageError, match="addresses need fsspec"):
        open_image("s3://bucket/a.jpg")


@pytest.fixture
def web(tmp_path: Path, render_picture: RenderPicture) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="needs beholder[scale]")
    folder = tmp_path / "web"
    folder.mkdir()
    render_picture(1, (80, 60)).save(folder / "a.jpg")
    write_tar(folder / "x.tar", {"0.jpg": (folder / "a.jpg").read_bytes()})

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_picture_is_fetched_over_http(web: str) -> None:
    assert find_images([f"{web}/a.jpg"]) == [f"{web}/a.jpg"]
    assert open_image(f"{web}/a.jpg").width == 80
    with pytest.raises(ImageError, match="no such file at this address"):
        open_image(f"{web}/gone.jpg")
    with pytest.raises(ImageError, match="ClientConnectorError: Cannot connect to host"):
        open_image("http://127.0.0.1:9/a.jpg")
