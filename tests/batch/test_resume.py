from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from rows_equal import assert_same_rows
from tiny_model import write_tiny_checkpoint

import beholder
from beholder.batch.files import read_rows, write_rows
from beholder.batch.plan import part_file, parts_folder
from beholder.batch.summary import Progress
from beholder.errors import UserError

N = 1750


@pytest.fixture(scope="session")
def undisturbed(crowd: Path, tiny: Path) -> pa.Table:
    return beholder.score(crowd, model=tiny, workers=2).table


@pytest.fixture(scope="session")
def stopped_once(crowd: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the parts of a run to `scores.parquet` that Ctrl-C stopped after two of four parts."""

    def stop(progress: Progress) -> None:
        if progress.shard == 1:
            raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KeyboardInterrupt):
        beholder.score(crowd, model=tiny, workers=1, out=folder / "scores.parquet", on_progress=stop)
    return folder


@pytest.fixture
def stopped(stopped_once: Path, tmp_path: Path) -> Path:
    """The same, to play with: the file that the run should have written."""
    shutil.copytree(stopped_once, tmp_path / "run")
    return tmp_path / "run" / "scores.parquet"


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import sys; from beholder.cli import main; sys.exit(main())", "score"]
    return subprocess.Popen([*command, *map(str, arguments)], stderr=subprocess.PIPE, start_new_session=True)


def kill_when(run: subprocess.Popen[bytes], moment: Callable[[], bool]) -> bool:
    """SIGKILL the run with all its workers as soon as `moment` has come; False if it ended before."""
    while run.poll() is None:
        if moment():
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            return True
    return False


def test_a_run_killed_at_any_moment_ends_like_an_undisturbed_one(
    crowd: Path, tiny: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    out = tmp_path / "scores.parquet"
    parts = parts_folder(out)
    moments: list[Callable[[], bool]] = [
        (parts / "plan.json").exists,
        part_file(parts, 0).exists,
        part_file(parts, 2).exists,
        lambda: any(tmp_path.glob(".scores.parquet.tmp-*")),
    ]
    # The last two moments can be over before the test sees them; what they leave is tested on its own below.
    killed = [kill_when(start(crowd, "--model", tiny, "-o", out, "--resume"), moment) for moment in moments]
    assert killed[:2] == [True] * 2
    assert not out.exists() or not killed[-1]
    end = start(crowd, "--model", tiny, "-o", out, "--resume")
    assert (end.communicate()[1], end.returncode)[1] == 0
    assert_same_rows(read_rows(out), undisturbed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.parquet"]


def test_a_run_killed_while_it_writes_the_end_loses_nothing(stopped: Path, tiny: Path, undisturbed: pa.Table) -> None:
    for shard in (2, 3):
        rows = undisturbed.slice(500 * shard, 500)
        write_rows([rows], part_file(parts_folder(stopped), shard))
    (stopped.parent / f".{stopped.name}.tmp-4711").write_bytes(b"half a file")
    (parts_folder(stopped) / ".part-00003.parquet.tmp-4711").write_bytes(b"half a part")
    run = beholder.score(model=tiny, out=stopped, resume=True)
    assert run.summary.n_scored == 0
    assert_same_rows(run.table, undisturbed)
    assert [path.name for path in stopped.parent.iterdir()] == [stopped.name]


def test_a_run_killed_while_it_cleans_up_is_finished(stopped: Path, tiny: Path, undisturbed: pa.Table) -> None:
    write_rows([undisturbed], stopped)
    (parts_folder(stopped) / "plan.json").unlink()
    run = beholder.score(model=tiny, out=stopped, resume=True)
    assert run.summary.n_scored == 0
    assert_same_rows(run.table, undisturbed)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to list child processes")
def test_a_worker_that_hangs_on_after_its_parent_was_killed_does_not_block_the_next_run(
    crowd: Path, tiny: Path, undisturbed: pa.Table, tmp_path: Path
) -> None:
    out = tmp_path / "scores.parquet"
    run = start(crowd, "--model", tiny, "-o", out, "--workers", "2")
    while not part_file(parts_folder(out), 0).exists():
        assert run.poll() is None
    try:
        for child in Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGSTOP)
        run.kill()
        run.wait()
        end = start(crowd, "--model", tiny, "-o", out, "--resume")
        assert (end.communicate()[1], end.returncode)[1] == 0
    finally:
        os.killpg(run.pid, signal.SIGKILL)
    assert_same_rows(read_rows(out), undisturbed)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to list child processes")
def test_workers_do_not_outlive_a_killed_parent(crowd: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    run = start(crowd, "--model", tiny, "-o", out, "--workers", "2")
    while not part_file(parts_folder(out), 0).exists():
        assert run.poll() is None
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    assert len(children) >= 2
    run.kill()  # the parent alone
    run.wait()
    end_s = time.monotonic() + 60
    while any(_is_alive(child) for child in children):
        assert time.monotonic() < end_s, "workers of a killed run are still there"
        time.sleep(0.02)


def _is_alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_resume_scores_only_what_is_missing(stopped: Path, crowd: Path, tiny: Path, undisturbed: pa.Table) -> None:
    run = beholder.score(crowd, model=tiny, out=stopped, resume=True)
    assert run.summary.n_scored == N - 1000
    assert run.summary.counts == {"ok": N - 1, "unreadable": 1}
    assert_same_rows(run.table, undisturbed)
    assert not parts_folder(stopped).exists()


def test_resume_needs_no_inputs_and_sees_the_pictures_of_the_plan(
    stopped: Path, tiny: Path, undisturbed: pa.Table
) -> None:
    assert_same_rows(beholder.score(model=tiny, out=stopped, resume=True).table, undisturbed)


def test_resume_of_a_finished_run_does_nothing(photos: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    beholder.score(photos, model=tiny, out=out, workers=1)
    before = out.stat().st_mtime_ns
    run = beholder.score(photos, model=tiny, out=out, resume=True)
    assert (run.summary.n_scored, run.summary.n_total) == (0, 12)
    assert out.stat().st_mtime_ns == before


def test_resume_of_nothing_starts(photos: Path, tiny: Path, tmp_path: Path) -> None:
    run = beholder.score(photos, model=tiny, out=tmp_path / "scores.csv", resume=True, workers=1)
    assert run.summary.n_scored == 12


def test_resume_with_other_settings_is_an_error_that_names_them(stopped: Path, tiny: Path, tmp_path: Path) -> None:
    other_weights = write_tiny_checkpoint(tmp_path / "weights", seed=2)
    other_name = write_tiny_checkpoint(tmp_path / "name", seed=1, name="other")
    with pytest.raises(UserError, match="weights_sha256"):
        beholder.score(model=other_weights, out=stopped, resume=True)
    with pytest.raises(UserError, match="model = tiny, this run has other"):
        beholder.score(model=other_name, out=stopped, resume=True)
    with pytest.raises(UserError, match="tasks = quality, aesthetics, this run has quality"):
        beholder.score(model=tiny, out=stopped, resume=True, task="quality")
    with pytest.raises(UserError, match="max_pixels = 200000000, this run has 1000"):
        beholder.score(model=tiny, out=stopped, resume=True, max_pixels=1000)


def test_resume_with_other_inputs_is_an_error_that_counts_them(stopped: Path, photos: Path, tiny: Path) -> None:
    with pytest.raises(UserError, match=r"from 1,750 pictures to 12 \(12 new and 1,750 gone\)"):
        beholder.score(photos, model=tiny, out=stopped, resume=True)


def test_a_stopped_run_is_not_thrown_away_in_silence(stopped: Path, photos: Path, tiny: Path) -> None:
    with pytest.raises(UserError, match="--resume, or start again with --overwrite"):
        beholder.score(photos, model=tiny, out=stopped)
    run = beholder.score(photos, model=tiny, out=stopped, overwrite=True, workers=1)
    assert run.summary.n_total == len(run.table) == 12


def test_an_existing_file_is_not_overwritten_in_silence(photos: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    out.write_text("years of work")
    with pytest.raises(UserError, match="exists already"):
        beholder.score(photos, model=tiny, out=out)
    assert out.read_text() == "years of work"


def test_a_damaged_plan_is_an_error(stopped: Path, tiny: Path) -> None:
    (parts_folder(stopped) / "paths.nul").write_bytes(b"other.jpg\0")
    with pytest.raises(UserError, match="not the list of the plan"):
        beholder.score(model=tiny, out=stopped, resume=True)
    (parts_folder(stopped) / "plan.json").write_text('{"version": 1}')
    with pytest.raises(UserError, match="damaged"):
        beholder.score(model=tiny, out=stopped, resume=True)
    (parts_folder(stopped) / "plan.json").write_text('{"version": 99}')
    with pytest.raises(UserError, match="plan version 99"):
        beholder.score(model=tiny, out=stopped, resume=True)


@pytest.mark.skipif(sys.platform == "win32", reason="runs are locked on POSIX only")
@pytest.mark.parametrize("how", [{}, {"resume": True}, {"overwrite": True}, {"retry_failed": True}])
def test_a_second_run_to_the_same_file_is_refused_and_harms_nothing(
    how: dict[str, bool], photos: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.csv"
    messages = []

    def start_another(progress: Progress) -> None:
        if progress.n_done == 1:
            with pytest.raises(UserError) as caught:
                beholder.score(photos, model=tiny, out=out, workers=1, **how)  # type: ignore[arg-type]
            messages.append(str(caught.value))

    run = beholder.score(photos, model=tiny, out=out, workers=1, on_progress=start_another)
    assert run.summary.counts == {"ok": 12}
    assert len(messages) == 1
    assert f"another run is writing {out} (process {os.getpid()})" in messages[0]
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


def test_the_lock_of_a_killed_run_blocks_nobody(stopped: Path, tiny: Path, undisturbed: pa.Table) -> None:
    (parts_folder(stopped) / "lock").write_text("4711")
    assert_same_rows(beholder.score(model=tiny, out=stopped, resume=True).table, undisturbed)
    assert [path.name for path in stopped.parent.iterdir()] == [stopped.name]


def test_a_run_that_is_refused_leaves_nothing_behind(photos: Path, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist, so nothing in it has failed"):
        beholder.score(photos, model=tiny, out=tmp_path / "scores.csv", retry_failed=True)
    assert list(tmp_path.iterdir()) == []
