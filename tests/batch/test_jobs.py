import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from beholder.batch.jobs import run_jobs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX")

LONG_JOBS = """
import sys, time
from pathlib import Path
from beholder.batch.jobs import run_jobs

def start(folder):
    pass

def work(name, folder):
    (folder / name).touch()
    time.sleep(300)

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    list(run_jobs(work, [(str(n), folder) for n in range(4)], 2, start, (folder,)))
"""


def within(seconds: float, moment: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not moment():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def rows_of(group: int) -> list[str]:
    """Command lines of the running processes of a group; one that nobody has waited for yet doesn't run."""
    found = subprocess.run(["ps", "-A", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=2) for line in found.stdout.splitlines()]
    return [row[-1] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


def is_gone(group: int) -> bool:
    return not rows_of(group)


def start(*command: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, command)], stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.fixture
def run(tmp_path: Path):
    """Two jobs in two processes, in the middle; two more that wait. What a test leaves running is killed."""
    (tmp_path / "long_jobs.py").write_text(LONG_JOBS)
    folder = tmp_path / "started"
    folder.mkdir()
    process = start(tmp_path / "long_jobs.py", folder)
    assert within(60, lambda: len(list(folder.iterdir())) == 2)
    yield process
    if not is_gone(process.pid):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_parent(run: subprocess.Popen[str], sign: signal.Signals) -> None:
    run.send_signal(sign)
    assert run.wait(timeout=60) != 0
    assert within(60, lambda: is_gone(run.pid))


def test_ctrl_c_reaches_the_whole_group_and_only_the_parent_speaks(run: subprocess.Popen[str]) -> None:
    os.killpg(run.pid, signal.SIGINT)
    error = run.communicate(timeout=60)[1]
    assert within(60, lambda: is_gone(run.pid))
    assert error.count("Traceback") == 1


def test_a_job_that_fails_ends_the_others_in_the_middle() -> None:
    begin = time.monotonic()
    with pytest.raises(ValueError, match="must be non-negative"):
        list(run_jobs(time.sleep, [(300,), (-1,)], 2, time.sleep, (0,)))
    assert time.monotonic() - begin < 60
