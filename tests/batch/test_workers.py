from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from conftest import RenderPicture
from PIL import Image
from tiny_model import tiny_model, write_tiny_checkpoint

import beholder
from beholder.batch.files import read_rows
from beholder.batch.summary import Progress
from beholder.errors import UserError

PROC = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def with_a_large_one(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Twelve photos, and in their middle a picture that takes long enough to decode to be caught at it."""
    large = tmp_path_factory.mktemp("large") / "large.png"
    noise = np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(large, compress_level=1)
    paths = sorted(map(str, photos.iterdir()))
    return [*paths[:5], str(large), *paths[5:]]


@contextmanager
def send_to_whoever_opens(
    path: str, number: signal.Signals, workers: Callable[[], list[int]] = lambda: own_children()
) -> Iterator[list[int]]:
    """Send a signal to every worker that is seen with `path` open; gives their process ids."""
    hit: list[int] = []
    done = Event()

    def watch() -> None:
        while not done.wait(0.001):
            for pid in workers():
                if pid not in hit and path in _open_files(pid):
                    os.kill(pid, number)
                    hit.append(pid)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield hit
    finally:
        done.set()
        thread.join()


def own_children() -> list[int]:
    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # gone in the meantime
        return []


def _open_files(pid: int) -> list[str]:
    try:
        return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # gone in the meantime
        return []


@pytest.mark.skipif(not PROC.exists(), reason="needs /proc to see which picture a worker has open")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_picture_that_kills_its_worker_twice_costs_one_row(
    workers: int, with_a_large_one: list[str], tiny: Path
) -> None:
    with send_to_whoever_opens(with_a_large_one[5], signal.SIGKILL) as hit:
        run = beholder.score(with_a_large_one, model=tiny, workers=workers, batch_size=4)
    assert len(hit) == 2
    assert run.table["path"].to_pylist() == with_a_large_one
    assert run.table["status"].to_pylist() == ["ok"] * 5 + ["crashed"] + ["ok"] * 7
    assert "died twice (exit code -9)" in run.table["error"][5].as_py()


@pytest.mark.skipif(not PROC.exists(), reason="needs /proc to see which picture a worker has open")
@pytest.mark.parametrize(("workers", "batch_size"), [(2, 8), (1, 1)])
def test_a_picture_that_hangs_costs_one_row(
    workers: int, batch_size: int, with_a_large_one: list[str], tiny: Path
) -> None:
    with send_to_whoever_opens(with_a_large_one[5], signal.SIGSTOP) as hit:
        run = beholder.score(with_a_large_one, model=tiny, workers=workers, batch_size=batch_size, timeout_s=3)
    assert len(hit) == 1
    assert run.table["status"].to_pylist() == ["ok"] * 5 + ["timeout"] + ["ok"] * 7
    assert run.table["error"][5].as_py() == "took longer than 3 s"


def test_a_picture_that_is_too_slow_costs_one_row(with_a_large_one: list[str], tiny: Path) -> None:
    run = beholder.score(with_a_large_one[5], model=tiny, timeout_s=0.02)
    assert run.table["status"].to_pylist() == ["timeout"]


ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
def test_only_a_process_without_threads_is_forked() -> None:
    code = (
        "import threading\n"
        "from beholder.batch.workers import start_method\n"
        "print(start_method())\n"
        "stop = threading.Event()\n"
        "threading.Thread(target=stop.wait).start()\n"
        "print(start_method())\n"
        "stop.set()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ONE_THREAD)
    assert done.stdout.split() == ["fork", "spawn"]


@pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
@pytest.mark.parametrize(
    ("number", "n_hit", "status"), [(signal.SIGKILL, 2, "crashed"), (signal.SIGSTOP, 1, "timeout")]
)
def test_a_bad_picture_costs_one_row_in_forked_workers_too(
    number: signal.Signals, n_hit: int, status: str, with_a_large_one: list[str], tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.parquet"
    command = [sys.executable, "-m", "beholder", "score", *with_a_large_one]
    command += ["--model", str(tiny), "-o", str(out), "--workers", "2", "--timeout", "3", "--max-bad", "1"]
    methods: set[str] = set()

    def workers() -> list[int]:
        pids = children_of(run.pid)
        for pid in pids:
            with suppress(OSError):
                is_spawned = b"multiprocessing" in Path(f"/proc/{pid}/cmdline").read_bytes()
                methods.add("spawn" if is_spawned else "fork")
        return pids

    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as run,
        send_to_whoever_opens(with_a_large_one[5], number, workers) as hit,
    ):
        assert run.wait(timeout=300) == 0
    assert len(hit) == n_hit
    assert read_rows(out)["status"].to_pylist() == ["ok"] * 5 + [status] + ["ok"] * 7
    assert "fork" in methods, "or this has tested spawned workers a second time"


def test_damaged_weights_are_one_clear_error(photos: Path, tmp_path: Path) -> None:
    model = write_tiny_checkpoint(tmp_path / "model")
    (model / "tiny.onnx").write_bytes(b"not a model")
    with pytest.raises(UserError, match="sha256"):
        beholder.score(photos, model=model)


def test_a_model_that_gives_no_probabilities_is_one_clear_error(photos: Path, tmp_path: Path) -> None:
    broken = tiny_model()
    for node in broken.graph.node:
        if node.op_type == "Softmax":
            node.op_type = "Elu"
            del node.attribute[:]
    model = write_tiny_checkpoint(tmp_path / "model", model=broken)
    with pytest.raises(UserError, match="probabilities"):
        beholder.score(photos, model=model)


def test_no_worker_is_left_after_a_run(photos: Path, tiny: Path) -> None:
    beholder.score(photos, model=tiny, workers=2)
    assert multiprocessing.active_children() == []


@pytest.mark.skipif(not PROC.exists(), reason="sends a signal")
def test_a_worker_that_is_killed_while_it_waits_costs_nothing(with_a_large_one: list[str], tiny: Path) -> None:
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        """Called in the parent, while the worker that has just answered waits for its next pictures."""
        if progress.n_scored == 2:
            [child] = multiprocessing.active_children()
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            killed.append(child.pid)

    run = beholder.score(with_a_large_one, model=tiny, workers=1, batch_size=2, on_progress=kill_one)
    assert len(killed) == 1
    assert run.summary.counts == {"ok": 13}


def test_what_decoders_mutter_reaches_nobody(
    render_picture: RenderPicture, tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """libtiff writes to stderr by itself, past Python."""
    file = io.BytesIO()
    render_picture(1, (97, 61)).save(file, "TIFF", compression="tiff_lzw")
    content = file.getvalue()
    (tmp_path / "damaged.tif").write_bytes(content[:1000] + b"\xff" * 8 + content[1008:])
    run = beholder.score(tmp_path / "damaged.tif", model=tiny, workers=1)
    assert run.table["error"].to_pylist() == ["damaged or truncated TIFF: decoder error -2"]
    assert capfd.readouterr().err == ""
