"""Runs that are killed, discs that are full, folders that can't be written, two runs at once."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
from record import beholder_command
from sandbox import Outcome, run_inside

from beholder.batch.files import read_rows
from beholder.batch.plan import parts_folder

LIMIT_S = 900.0


def kill_runs(pictures: Path, sandbox: Path, model: str, *, points: int, seed: int = 0) -> Outcome:
    """SIGKILL to all processes of a run at `points` moments drawn evenly over its time; each is then resumed."""
    rng = np.random.default_rng(seed)
    whole = sandbox / "whole.parquet"
    options = ("--model", model, "--workers", "2")
    undisturbed = run_inside(
        sandbox, beholder_command("score", str(pictures), "-o", str(whole), *options), out=whole, limit_s=LIMIT_S
    )
    broken = undisturbed.complaints(0)
    if broken:
        return Outcome("kill -9 at any moment", 0, tuple(broken), "the undisturbed run failed")
    expected = read_rows(whole)
    kept: list[int] = []
    tries = 0
    longest_s = undisturbed.seconds
    while len(kept) < points and tries < 10 * points:  # one that ended before its moment proves nothing
        tries += 1
        out = sandbox / f"{tries}.parquet"
        line = beholder_command("score", str(pictures), "-o", str(out), "--resume", *options)
        moment_s = float(rng.uniform(0, longest_s))
        killed = run_inside(sandbox, line, out=out, limit_s=LIMIT_S, kill_after_s=moment_s)
        if killed.code == 0:
            longest_s = min(longest_s, killed.seconds)  # the first run found cold caches
            continue
        print(f"    killed {len(kept) + 1} of {points}, after {moment_s:.1f} s", flush=True)
        kept.append(sum(len(read_rows(part)) for part in parts_folder(out).glob("part-*.parquet")))
        resumed = run_inside(sandbox, line, out=out, limit_s=LIMIT_S)
        found = [*killed.strays, *resumed.complaints(0)]
        if not found:
            found += differences(read_rows(out), expected)
        found += [f"left behind: {path.name}" for path in sandbox.iterdir() if out.name in path.name and path != out]
        broken += [f"killed after {moment_s:.1f} s: {what}" for what in found]
    n_rows = len(expected)
    seen = (
        f"{n_rows:,} rows each; {min(kept, default=0):,} to {max(kept, default=0):,} were finished when it was killed"
    )
    if len(kept) < points:
        broken.append(f"only {len(kept)} of {points} runs could be killed before they ended")
    return Outcome("kill -9 at any moment", len(kept), tuple(broken), seen)


def differences(rows: pa.Table, expected: pa.Table) -> list[str]:
    """Rows that are lost, doubled, or not as they should be."""
    paths, wanted = rows["path"].to_pylist(), expected["path"].to_pylist()
    found = []
    if lost := len(set(wanted) - set(paths)):
        found.append(f"{lost:,} rows lost")
    if doubled := len(paths) - len(set(paths)):
        found.append(f"{doubled:,} rows doubled")
    if not found and paths != wanted:
        found.append("another order")
    if not found:
        for task in ("quality", "aesthetics"):
            a, b = (table[task].to_numpy(zero_copy_only=False) for table in (rows, expected))
            if not np.allclose(a, b, rtol=0, atol=1e-3, equal_nan=True):
                found.append(f"other scores of {task}")
    return found


@contextmanager
def small_disc(folder: Path, megabytes: float) -> Iterator[tuple[str, Callable[[], None] | None, Callable[[], None]]]:
    """A folder that takes so many megabytes: how it is done, what to run in the process, and what makes room.

    A file system in memory where this process may mount one, else a limit on the size of each file, which the system
    tells with another error and which other processes do not share.
    """
    folder.mkdir(parents=True)
    size = int(megabytes * 2**20)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode == 0:
        try:
            yield (
                f"tmpfs of {megabytes:g} MiB",
                None,
                lambda: _run("mount", "-o", "remount,size=1G", str(folder)),
            )
        finally:
            _run("umount", "--lazy", str(folder))
        return
    limit = [size]

    def prepare() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit[0], limit[0]))

    yield f"RLIMIT_FSIZE of {megabytes:g} MiB", prepare, limit.clear


@contextmanager
def read_only(folder: Path) -> Iterator[str]:
    """An empty folder that nobody may write to, and how it is done; root may write where permissions forbid it."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode == 0:
        try:
            yield "read-only tmpfs"
        finally:
            _run("umount", "--lazy", str(folder))
        return
    folder.chmod(0o555)
    try:
        yield "folder without write permission"
    finally:
        folder.chmod(0o755)


def _run(*line: str) -> None:
    subprocess.run(line, capture_output=True, check=True)


def fill_disc(pictures: Path, sandbox: Path, model: str, *, megabytes: float) -> Outcome:
    """The disc fills while rows are written: a message, nothing half-done, and with room `--resume` ends the run."""
    broken = []
    with small_disc(sandbox / "disc", megabytes) as (how, prepare, make_room):
        out = sandbox / "disc" / "scores.jsonl"
        line = beholder_command("score", str(pictures), "-o", str(out), "--resume", "--model", model, "--workers", "2")
        full = run_inside(sandbox, line, out=out, limit_s=LIMIT_S, prepare=prepare)
        broken += full.complaints(1)
        said = full.said.strip().splitlines()[-1:] or [""]
        if not any(word in said[0] for word in ("No space", "no room", "too large", "File too large")):
            broken.append(f"the message says nothing of the disc: {said[0]!r}")
        if out.exists():
            broken.append("half an output")
        make_room()
        again = run_inside(sandbox, line, out=out, limit_s=LIMIT_S, prepare=prepare)
        broken += again.complaints(0)
        n_rows = len(read_rows(out)) if out.exists() else 0
        if n_rows != len(list(pictures.iterdir())):
            broken.append(f"{n_rows:,} rows")
    return Outcome(
        "disc full while scoring, then room", 1, tuple(broken), f"{how}; {said[0].removeprefix('beholder: ')}"
    )


def refuse_to_write(pictures: Path, sandbox: Path, model: str, upscaler: Path | None) -> list[Outcome]:
    """Outputs of `score`, `merge`, `select` and `upscale` in a folder that can't be written: one line, exit code 1."""
    some = next(iter(sorted(pictures.iterdir())))
    rows = sandbox / "rows.csv"
    made = run_inside(
        sandbox, beholder_command("score", str(some), "-o", str(rows), "--model", model), out=rows, limit_s=LIMIT_S
    )
    shutil.copy(rows, sandbox / "same.csv")
    outcomes = []
    with read_only(sandbox / "closed") as how:
        closed = sandbox / "closed"
        lines = {
            "score": ("score", str(some), "-o", str(closed / "scores.csv"), "--model", model),
            "report": ("report", str(rows), "-o", str(closed / "page.html")),
            "select": ("select", str(rows), "--top", "100%", "--copy", str(closed / "best")),
        }
        if upscaler is not None:
            lines["upscale"] = ("upscale", str(some), "-o", str(closed / "larger"), "--model", str(upscaler))
        for verb, line in lines.items():
            ended = run_inside(sandbox, beholder_command(*line), out=closed, limit_s=LIMIT_S)
            said = (ended.said.strip().splitlines()[-1:] or [""])[0]
            broken = [*made.complaints(0), *ended.complaints(1, 2)]
            outcomes.append(Outcome(f"read-only output, {verb}", 1, tuple(broken), f"{how}; {_short(said, closed)}"))
    return outcomes


def run_twice_at_once(pictures: Path, sandbox: Path, model: str) -> Outcome:
    """Two runs to one output, started together: one refuses in one line, the other one's rows are whole."""
    sandbox.mkdir(parents=True)
    out = sandbox / "scores.parquet"
    line = beholder_command("score", str(pictures), "-o", str(out), "--model", model, "--workers", "1", "--resume")
    runs = [subprocess.Popen(line, stderr=subprocess.PIPE, text=True, cwd=sandbox) for _ in range(2)]
    said = [run.communicate()[1] for run in runs]
    codes = sorted(run.returncode for run in runs)
    broken = [f"exit codes {codes}: {said}"] if codes not in ([0, 1], [0, 0]) else []
    refused = [text for run, text in zip(runs, said, strict=True) if run.returncode == 1]
    if refused and "another run is writing" not in refused[0]:
        broken.append(f"the refusal says {refused[0]!r}")
    names = [Path(path).name for path in read_rows(out)["path"].to_pylist()]
    if names != sorted(path.name for path in pictures.iterdir()):
        broken.append("rows are lost or doubled")
    seen = "the second one is refused: another run is writing" if refused else "the second one found it finished"
    return Outcome("two runs to one output", 2, tuple(broken), seen)


def _short(said: str, folder: Path) -> str:
    return said.removeprefix("beholder: ").replace(f"{folder}{os.sep}", "").replace(str(folder), "it")[:160]
