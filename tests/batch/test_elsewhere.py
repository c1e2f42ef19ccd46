"""Whole runs over pictures that are no local files: addresses and tar files, by themselves and both at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pytest
from rows_equal import assert_same_rows
from tar_files import write_tar

import beholder
from beholder.batch.files import read_rows

fsspec = pytest.importorskip("fsspec", reason="needs beholder[scale]")


@pytest.fixture(scope="module")
def local(photos: Path, tiny: Path) -> pa.Table:
    return beholder.score(photos, model=tiny, workers=1).table


@pytest.fixture(scope="module")
def shelf(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos, and WebDataset shards of six each with a label beside every picture."""
    folder = tmp_path_factory.mktemp("shelf")
    names = sorted(path.name for path in photos.iterdir())
    for name in names:
        (folder / name).write_bytes((photos / name).read_bytes())
    for i in range(2):
        members = {}
        for name in names[6 * i : 6 * i + 6]:
            members[name] = (photos / name).read_bytes()
            members[name.replace(".jpg", ".json")] = b"{}"
        write_tar(folder / f"train-{i:04d}.tar", members)
    return folder


@pytest.fixture(scope="module")
def web(shelf: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="needs beholder[scale]")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(shelf))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def check(rows: pa.Table, local: pa.Table, paths: list[str]) -> None:
    """The rows of the local files, under other names."""
    assert rows["path"].to_pylist() == paths
    assert_same_rows(rows, local.set_column(0, local.schema.field(0), pa.array(paths)))


def names(local: pa.Table) -> list[str]:
    return [Path(path).name for path in local["path"].to_pylist()]


def test_a_list_of_web_addresses_gives_the_scores_of_the_files(
    web: str, local: pa.Table, tiny: Path, tmp_path: Path
) -> None:
    addresses = [f"{web}/{name}" for name in names(local)]
    (tmp_path / "links.csv").write_text("\n".join(["uri", *addresses, f"{web}/gone.jpg"]) + "\n")
    out = tmp_path / "scores.parquet"
    run = beholder.score(tmp_path / "links.csv", model=tiny, out=out, workers=2)
    check(run.table.slice(0, 12), local, addresses)
    assert run.table.slice(12)["status"].to_pylist() == ["unreadable"]
    assert "no such file at this address" in run.table["error"].to_pylist()[12]


@pytest.mark.parametrize("where", ["disc", "web"])
def test_webdataset_shards_give_the_scores_of_the_files(
    where: str, web: str, shelf: Path, local: pa.Table, tiny: Path, tmp_path: Path
) -> None:
    top = str(shelf) if where == "disc" else web
    shards = [f"{top}/train-{i:04d}.tar" for i in range(2)]
    run = beholder.score(shards, model=tiny, out=tmp_path / "scores.csv", workers=2)
    check(run.table, local, [f"{shards[i // 6]}::{name}" for i, name in enumerate(names(local))])


IN_MEMORY = """
import sys
from pathlib import Path
import fsspec
from beholder.cli import main
folder, *arguments = sys.argv[1:]
for file in Path(folder).iterdir():
    fsspec.filesystem("memory").pipe(f"memory://bucket/{file.name}", file.read_bytes())
sys.exit(main(arguments))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only a forked worker has the memory of its parent")
def test_a_bucket_is_scored_like_a_folder(shelf: Path, local: pa.Table, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    arguments = ["score", "memory://bucket", "memory://bucket/*-0001.tar", "--model", str(tiny), "-o", str(out)]
    subprocess.run([sys.executable, "-c", IN_MEMORY, str(shelf), *arguments, "--workers", "2"], check=True)
    rows = read_rows(out)
    check(rows.slice(0, 12), local, [f"memory://bucket/{name}" for name in names(local)])
    tarred = [f"memory://bucket/train-0001.tar::{name}" for name in names(local)[6:]]
    check(rows.slice(12), local.slice(6), tarred)
