"""A real Ray cluster of several processes, some of which are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from rows_equal import assert_same_rows
from tiny_model import write_tiny_checkpoint

import beholder
from beholder.batch.files import read_rows
from beholder.batch.plan import part_file, parts_folder
from beholder.batch.summary import Progress
from beholder.errors import UserError
from beholder.scoring.engines import ENGINES

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the actors")


@pytest.fixture(scope="module")
def one_machine(crowd: Path, tiny: Path) -> pa.Table:
    return beholder.score(crowd, model=tiny, workers=2).table


def content(file: Path) -> bytes:
    """What /proc says there; nothing of a process or thread that has just ended."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def descendants(pid: int) -> list[int]:
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, content(children).split()):
            found += [child, *descendants(child)]
    return found


def actors() -> list[int]:
    """Processes of our actors, not those below them, oldest first."""
    return sorted(
        pid for pid in descendants(os.getpid()) if content(Path(f"/proc/{pid}/cmdline")).startswith(b"ray::Hand")
    )


def test_a_cluster_gives_the_rows_of_one_machine_though_an_actor_is_killed(
    cluster: str, crowd: Path, tiny: Path, one_machine: pa.Table, tmp_path: Path
) -> None:
    killed, finished = [], []

    def on_progress(progress: Progress) -> None:
        if progress.shard is not None:
            finished.append(progress.shard)
        if len(finished) == 1 and not killed:  # four shards, two actors: both have one in hand
            killed.append(actors()[0])
            os.kill(killed[0], signal.SIGKILL)

    out = tmp_path / "scores.parquet"
    run = beholder.score(crowd, model=tiny, ray=cluster, out=out, on_progress=on_progress)
    assert killed
    assert sorted(finished) == [0, 1, 2, 3]
    assert run.summary.n_scored == 1750
    assert run.summary.workers >= 2  # three, if the one that takes the place of the dead is ready before the end
    assert_same_rows(read_rows(out), one_machine)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_finished_parts_are_not_scored_again_on_the_cluster_or_off_it(
    cluster: str, crowd: Path, tiny: Path, one_machine: pa.Table, tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.shard is not None:
            raise KeyboardInterrupt

    out = tmp_path / "scores.parquet"
    with pytest.raises(KeyboardInterrupt):
        beholder.score(crowd, model=tiny, ray=cluster, out=out, on_progress=stop)
    before = {i: part_file(parts_folder(out), i) for i in range(4) if part_file(parts_folder(out), i).exists()}
    assert len(before) == 1
    with pytest.raises(KeyboardInterrupt):
        beholder.score(model=tiny, out=out, resume=True, workers=2, on_progress=stop)
    seen: list[int | None] = []
    run = beholder.score(
        model=tiny, ray=cluster, out=out, resume=True, on_progress=lambda progress: seen.append(progress.shard)
    )
    rescored = {shard for shard in seen if shard is not None}
    assert not rescored & set(before)
    assert len(rescored) == 2
    assert run.summary.n_scored == sum(250 if shard == 3 else 500 for shard in rescored)
    assert_same_rows(read_rows(out), one_machine)


def test_rows_without_a_file_come_back_in_order(cluster: str, tiny: Path, crowd: Path, one_machine: pa.Table) -> None:
    run = beholder.score(crowd, model=tiny, ray=cluster, workers=2)
    assert_same_rows(run.table, one_machine)


def test_a_model_that_one_process_holds_gets_an_actor_per_gpu(
    cluster: str, tiny: Path, crowd: Path, one_machine: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setitem(ENGINES, "onnx", replace(ENGINES["onnx"], one_process=True))
    free: list[float] = []
    run = beholder.score(
        crowd,
        model=tiny,
        ray=cluster,
        on_progress=lambda progress: free.append(ray.available_resources().get("GPU", 0)),
    )
    assert run.summary.workers == 2
    assert min(free) == 0
    assert_same_rows(run.table, one_machine)


def test_a_model_that_an_actor_can_not_load_is_one_line(cluster: str, crowd: Path, tmp_path: Path) -> None:
    model = write_tiny_checkpoint(tmp_path / "tiny")
    (model / "tiny.onnx").write_bytes(b"damaged")
    with pytest.raises(UserError, match="is not the file its card describes"):
        beholder.score(crowd, model=model, ray=cluster)
    give_up_s = time.monotonic() + 120
    while actors() and time.monotonic() < give_up_s:  # Ray ends them a moment after they are let go
        time.sleep(0.1)
    assert actors() == []


def test_a_machine_with_another_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs beholder[scale]")
    from beholder.batch.worker import Job
    from beholder.fleet.hand import Hand
    from beholder.scoring.table import resolve
    from beholder.task import TASKS

    here = resolve(write_tiny_checkpoint(tmp_path / "here", seed=1))
    there = resolve(write_tiny_checkpoint(tmp_path / "there", seed=2))
    hand = Hand(Job(there, TASKS, 10**6), here.card(), "/no/such/folder", batch_size=8, timeout_s=30)
    with pytest.raises(UserError, match=r"process \d+ on .* has another tiny: .* Put the same model on all machines"):
        hand.ready()


@pytest.mark.parametrize("ray_is_there", [True, False])
def test_no_cluster_or_no_ray_is_one_line(ray_is_there: bool, crowd: Path, tiny: Path, tmp_path: Path) -> None:
    if ray_is_there:
        pytest.importorskip("ray", reason="needs beholder[scale]")
    else:
        (tmp_path / "ray.py").write_text("raise ModuleNotFoundError('no ray', name='ray')\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "beholder", "score", str(crowd), "--model", str(tiny), "--ray"]
    run = subprocess.run(
        [*command, "nowhere"], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert run.returncode == 1
    said = "--ray nowhere: " if ray_is_there else "--ray needs Ray, which is not installed. Try: pip install"
    assert said in run.stderr
    assert len(run.stderr.splitlines()) == 1, run.stderr
