"""A command run where every file that it leaves behind is seen: working folder, home and temporary files are ours."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("here", "home", "temporary")
"""Working folder, home, and where temporary files go."""


@dataclass(frozen=True)
class Outcome:
    """What became of one kind of fault."""

    name: str
    tries: int
    broken: tuple[str, ...]
    """Promises that were not kept, in words; none where all is well."""
    seen: str
    """What happened, in a few words."""
    longest_s: float | None = None
    """The longest that nothing at all was heard, where there is a limit for it."""
    limit_s: float | None = None


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    said: str
    """What it wrote to stderr."""
    seconds: float
    strays: tuple[str, ...]
    """Files that it made, changed or removed where it should not."""

    def complaints(self, *codes: int) -> list[str]:
        """What is wrong however the command ended: another exit code than `codes`, a traceback, a stray file."""
        found = [f"stray file {name}" for name in self.strays]
        if self.code not in codes:
            found.append(f"exit code {self.code}: {self.said.strip()[-300:]}")
        if "Traceback" in self.said:
            found.append(f"a traceback: {self.said.strip()[-300:]}")
        return found


def run_inside(
    sandbox: Path,
    line: Sequence[str | Path],
    *,
    out: Path,
    limit_s: float,
    kill_after_s: float | None = None,
    prepare: Callable[[], None] | None = None,
) -> Ended:
    """Run a command in `sandbox`; files below `out` or beside it under its name are its own, all others are strays.

    Every process of it is killed after `limit_s` (exit code -9), which is too late for any command, or after
    `kill_after_s`, on purpose. `prepare` runs in the process before the command does.
    """
    for name in FOLDERS:
        (sandbox / name).mkdir(parents=True, exist_ok=True)
    before = _looks(sandbox, out)
    start = time.monotonic()
    environment = os.environ | {
        "HOME": str(sandbox / "home"),
        "TMPDIR": str(sandbox / "temporary"),
        "OMP_NUM_THREADS": "1",
    }
    with subprocess.Popen(
        list(map(str, line)),
        cwd=sandbox / "here",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=prepare,
    ) as process:
        try:
            said = process.communicate(timeout=limit_s if kill_after_s is None else kill_after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said = process.communicate()
    after = _looks(sandbox, out)
    strays = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    out_text, said_text = (text.decode(errors="replace") for text in said)
    return Ended(process.returncode, out_text, said_text, time.monotonic() - start, tuple(strays))


def _looks(sandbox: Path, out: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file in the sandbox but those of `out`, by name."""
    found = {}
    for path in sandbox.rglob("*"):
        is_out = path.is_relative_to(out) or (path.parent == out.parent and path.name.lstrip(".").startswith(out.name))
        if not is_out and not path.is_relative_to(out.with_name(out.name + ".parts")) and path.is_file():
            info = path.lstat()
            found[str(path.relative_to(sandbox))] = (info.st_size, info.st_mtime_ns)
    return found
