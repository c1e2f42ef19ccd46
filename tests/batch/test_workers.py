from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from PIL import Image
from tiny_model import tiny_model, write_tiny_checkpoint

import beholder
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
def send_to_whoever_opens(path: str, number: signal.Signals) -> Iterator[list[int]]:
    """Send a signal to every worker that is seen with `path` open; gives their process ids."""
    hit: list[int] = []
    done = Event()

    def watch() -> None:
        while not done.wait(0.001):
            for child in multiprocessing.active_children():
                if child.pid is not None and child.pid not in hit and path in _open_files(child.pid):
                    os.kill(child.pid, number)
                    hit.append(child.pid)

    thread = Thread(target=watch)
    thread.start()
    try:
        yield hit
    finally:
        done.set()
        thread.join()


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
