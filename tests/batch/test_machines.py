from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from rows_equal import assert_same_rows
from scored_rows import scored_rows

import beholder
from beholder.batch.files import read_rows, write_rows
from beholder.batch.machines import Slice, parse_slice, slice_of
from beholder.batch.merge import merge
from beholder.batch.plan import make_plan, parts_folder, write_plan
from beholder.cli import main
from beholder.errors import UserError
from beholder.scoring.table import resolve


@pytest.mark.parametrize(("n", "of"), [(1, 1), (7, 3), (12, 5), (5, 5), (100, 7)])
def test_slices_are_the_list_in_order_and_of_nearly_one_length(n: int, of: int) -> None:
    paths = [f"{i}.jpg" for i in range(n)]
    slices = [slice_of(paths, Slice(i, of)) for i in range(1, of + 1)]
    assert [path for some in slices for path in some] == paths
    assert max(map(len, slices)) - min(map(len, slices)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/5", "1.5/3", "", "٢/٨"])
def test_a_slice_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UserError, match=r"--shard .*allowed are i/n with i from 1 to n, such as 2/8"):
        parse_slice(text)


def test_more_machines_than_pictures_are_refused(tiny: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--shard 2/13: there are 12 pictures only"):
        beholder.score(photos, model=tiny, shard="2/13", out=tmp_path / "scores.parquet")
    with pytest.raises(UserError, match="name them, also with --resume"):
        beholder.score(model=tiny, shard="2/3", resume=True, out=tmp_path / "scores.parquet")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_at_once_make_what_one_makes(tiny: Path, crowd: Path, tmp_path: Path) -> None:
    files = [tmp_path / "1.parquet", tmp_path / "2.csv"]
    command = [sys.executable, "-m", "beholder", "score", str(crowd), "--model", str(tiny), "--workers", "1"]
    runs = [
        subprocess.Popen([*command, "--shard", f"{i}/2", "-o", str(file)], stderr=subprocess.PIPE)
        for i, file in enumerate(files, start=1)
    ]
    for run in runs:
        _, said = run.communicate()
        assert run.returncode == 0, said.decode()
    assert merge(files, tmp_path / "all.parquet") == 1750
    one = beholder.score(crowd, model=tiny, workers=2)
    assert_same_rows(read_rows(tmp_path / "all.parquet"), one.table)


def test_a_stopped_slice_goes_on(tiny: Path, crowd: Path, tmp_path: Path) -> None:
    def stop(progress: object) -> None:
        if progress.shard == 0:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    out = tmp_path / "2.parquet"
    with pytest.raises(KeyboardInterrupt):
        beholder.score(crowd, model=tiny, workers=1, shard="2/2", out=out, on_progress=stop)
    with pytest.raises(UserError, match="the inputs have changed since"):
        beholder.score(crowd, model=tiny, workers=1, shard="1/2", out=out, resume=True)
    beholder.score(crowd, model=tiny, workers=1, shard="2/2", out=out, resume=True)
    names = [Path(path).name for path in read_rows(out)["path"].to_pylist()]
    assert names == [f"{i:05d}.jpg" for i in range(875, 1750)]


def write(path: Path, *rows: dict[str, object]) -> Path:
    write_rows([scored_rows(*rows)], path)
    return path


FIRST = {"path": "1.jpg", "quality": 50, "aesthetics": 50}


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"model": "other"}, r"b.csv was made with model = other, .*a.parquet with m: one file"),
        ({"weights_sha256": "1" * 64}, "made with weights_sha256 = 1111"),
        ({"preprocess": "q"}, "made with preprocess = q"),
        ({"aesthetics": None}, "made with tasks = quality, .* with quality and aesthetics"),
        ({"path": "1.jpg"}, r"'1.jpg' is in .*a.parquet and again in .*b.csv"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, second: dict[str, object], message: str) -> None:
    files = [write(tmp_path / "a.parquet", FIRST), write(tmp_path / "b.csv", FIRST | {"path": "2.jpg"} | second)]
    with pytest.raises(UserError, match=message):
        merge(files, tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_failed_rows_are_kept_and_say_nothing_about_tasks(tmp_path: Path) -> None:
    failed = {"path": "2.jpg", "status": "unreadable", "error": "x"}
    files = [write(tmp_path / "b.jsonl", failed), write(tmp_path / "a.parquet", FIRST)]
    assert merge(files, tmp_path / "all.csv") == 2
    expected = pa.concat_tables([scored_rows(failed), scored_rows(FIRST)])
    assert_same_rows(read_rows(tmp_path / "all.csv"), expected)


def test_what_can_not_be_merged_is_named(tmp_path: Path, tiny: Path) -> None:
    a, b = write(tmp_path / "a.parquet", FIRST), write(tmp_path / "b.parquet", FIRST | {"path": "2.jpg"})
    out = tmp_path / "all.parquet"
    for files, to, message in (
        ([a], out, "nothing to merge in 1 file"),
        ([a, b], b, "b.parquet exists already"),
        ([a, a], out, "'1.jpg' is in"),
        ([a, tmp_path / "c.parquet"], out, "there is no file .*c.parquet"),
        ([a, b], tmp_path / "all.txt", "can't tell a table format"),
        ([a, b], tmp_path / "no" / "all.csv", "does not exist. Make it first"),
    ):
        with pytest.raises(UserError, match=message):
            merge(files, to)
    parts_folder(b).mkdir()
    write_plan(parts_folder(b), make_plan(["2.jpg"], resolve(tiny).card(), ("quality",), 100), ["2.jpg"])
    with pytest.raises(UserError, match=r"b\.parquet is not finished"):
        merge([a, b], out)
    assert not out.exists()


TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4"}
SRUN = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}
ARRAY = {
    f"SLURM_ARRAY_TASK_{name}": value for name, value in {"ID": "7", "MIN": "5", "MAX": "11", "COUNT": "4"}.items()
}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (TORCHRUN, Slice(4, 4)),
        (SRUN, Slice(1, 2)),
        (SRUN | TORCHRUN, Slice(4, 4)),
        (ARRAY, Slice(2, 4)),
        (ARRAY | TORCHRUN, Slice(8, 16)),
        (ARRAY | SRUN, Slice(3, 8)),
    ],
)
def test_launchers_say_which_slice(environment: dict[str, str], expected: Slice) -> None:
    assert parse_slice("env", environment) == expected


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "has no RANK and WORLD_SIZE .*Give the slice as i/n"),
        ({"RANK": "1"}, "has no RANK and WORLD_SIZE"),
        (TORCHRUN | {"RANK": "4"}, "process 4 of 4"),
        (TORCHRUN | {"RANK": "-1"}, "RANK is '-1', expected a whole number"),
        ({"SLURM_ARRAY_TASK_ID": "7"}, "SLURM_ARRAY_TASK_MIN is '', expected a whole number"),
        (ARRAY | {"SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MAX": "12"}, "must be evenly spaced"),
        (ARRAY | {"SLURM_ARRAY_TASK_ID": "13"}, "array task 4 of 4"),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, "SLURM_STEP_NUM_TASKS .srun."),  # a batch script, without srun
    ],
)
def test_an_environment_that_gives_no_slice_is_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=f"--shard env: .*{message}"):
        parse_slice("env", environment)


def test_processes_of_one_command_line_claim_their_shards_by_the_environment(
    tiny: Path, crowd: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "beholder", "score", str(crowd), "--model", str(tiny), "--workers", "1"]
    runs = [
        subprocess.Popen(
            [*command, "--shard", "env", "-o", str(tmp_path / "{shard}.parquet")],
            stderr=subprocess.PIPE,
            env=os.environ | {"RANK": str(rank), "WORLD_SIZE": "2"},
        )
        for rank in range(2)
    ]
    for run in runs:
        _, said = run.communicate()
        assert run.returncode == 0, said.decode()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["1-of-2.parquet", "2-of-2.parquet"]
    assert merge(files, tmp_path / "all.parquet") == 1750
    assert_same_rows(read_rows(tmp_path / "all.parquet"), beholder.score(crowd, model=tiny, workers=2).table)


def test_torchrun_starts_processes_that_share_a_folder(tiny: Path, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs torch, which brings torchrun")
    folder = tmp_path / "pictures"
    shutil.copytree(photos, folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    score = [sys.executable, "-m", "beholder", "score", str(folder), "--model", str(tiny), "--workers", "1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    run = subprocess.run(
        [*torchrun, *score, "--shard", "env", "--max-bad", "100%", "-o", str(tmp_path / "{shard}.parquet")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    files = sorted(tmp_path.glob("*.parquet"))
    assert [file.name for file in files] == ["1-of-2.parquet", "2-of-2.parquet"]
    assert [len(read_rows(file)) for file in files] == [6, 7]
    merge(files, tmp_path / "all.parquet")
    assert_same_rows(read_rows(tmp_path / "all.parquet"), beholder.score(folder, model=tiny, workers=1).table)


def test_tasks_of_a_slurm_array_share_a_folder(
    tiny: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "{shard}.csv"
    for name, value in {"MIN": "1", "MAX": "3", "COUNT": "3"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    monkeypatch.setenv("SLURM_PROCID", "0")  # of the batch step, where the command runs without srun
    monkeypatch.setenv("SLURM_NTASKS", "4")
    command = ["score", str(photos), "--model", str(tiny), "--workers", "1", "--shard", "env", "--resume"]
    for task in (3, 1, 2):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", str(task))
        assert main([*command, "-o", str(out)]) == 0
    files = [tmp_path / f"{i}-of-3.csv" for i in (1, 2, 3)]
    assert merge(files, tmp_path / "all.parquet") == 12
    assert_same_rows(read_rows(tmp_path / "all.parquet"), beholder.score(photos, model=tiny, workers=1).table)
