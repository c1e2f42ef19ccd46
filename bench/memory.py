"""How much memory `beholder score` takes, workers included: few pictures, many, and one very large.

    python bench/memory.py [--model NAME_OR_FOLDER] [--few 500] [--many 10000]

The process tree is looked at every few milliseconds. RSS counts a page shared by three processes three times, PSS
counts it once: PSS is what the machine really gives, and RSS, the larger one, is what the limits are held against.
Linux only, since only /proc tells PSS.
"""

from __future__ import annotations

import argparse
import mmap
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pictures import links, mixed, panorama
from record import RESULTS, CommandError, Table, at_most, beholder_command, busy_share, model_facts, publish, script

from beholder.scoring.table import DEFAULT

WORKERS = 2
FILES = 300
"""Pictures that are rendered; the rest are hard links to them."""
INTERVAL_S = 0.01
PSS_EVERY = 10
"""PSS makes the kernel walk all pages, so it is read only on every tenth look."""

GROWTH = 1.2
LIMIT_MB = 700.0

_PAGE = mmap.PAGESIZE


@dataclass(frozen=True)
class Peak:
    """Highest memory of a process tree, in MB (10^6 bytes), and how long the command took."""

    rss_mb: float
    """Sum over the tree of each process's resident set, at the worst moment seen."""
    pss_mb: float
    """The same with shared pages counted once; seldom looked at, so short peaks are missed."""
    seconds: float


def watch(line: Sequence[str]) -> Peak:
    """Run a command and watch its process tree. Raises CommandError where the command fails."""
    start = time.perf_counter()
    rss = pss = looks = 0
    with tempfile.TemporaryFile() as said, subprocess.Popen(line, stdout=said, stderr=said) as process:
        while process.poll() is None:
            tree = process_tree(process.pid)
            rss = max(rss, sum(rss_bytes(pid) for pid in tree))
            if looks % PSS_EVERY == 0:
                pss = max(pss, sum(_pss_bytes(pid) for pid in tree))
            looks += 1
            time.sleep(INTERVAL_S)
        if process.returncode:
            said.seek(0)
            raise CommandError(f"exit code {process.returncode}: {said.read().decode(errors='replace')[-2000:]}")
    return Peak(rss / 1e6, pss / 1e6, time.perf_counter() - start)


def process_tree(root: int) -> list[int]:
    """Process ids of `root` and everything below it."""
    found = [root]
    for pid in found:  # grows while it is read
        with suppress(OSError):  # a process may end at any moment
            for task in Path(f"/proc/{pid}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def rss_bytes(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return 0


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--few", type=int, default=500)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--large-side", type=int, default=10_000, help="pixels; 10,000 gives 100 megapixels")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    facts = model_facts(given.model)
    if sys.platform != "linux":
        sys.exit("bench/memory.py reads /proc: it runs on Linux only")
    busy = busy_share()
    with tempfile.TemporaryDirectory(prefix="beholder-bench-") as name:
        scratch = Path(name)
        files = mixed(scratch / "pictures", min(FILES, given.many))
        large = given.large_side**2 / 1e6
        inputs = {
            f"{given.few:,} pictures": links(scratch / "few", files, given.few),
            f"{given.many:,} pictures": links(scratch / "many", files, given.many),
            f"1 JPEG of {large:.3g} megapixels": panorama(scratch / "large.jpg", given.large_side),
            f"1 progressive JPEG of {large:.3g} megapixels": panorama(
                scratch / "progressive.jpg", given.large_side, progressive=True
            ),
        }
        peaks = {}
        for i, (what, path) in enumerate(inputs.items()):
            out = scratch / f"scores{i}.parquet"
            line = beholder_command(
                "score", str(path), "-o", str(out), "--model", given.model, "--workers", str(WORKERS), "--max-bad", "0"
            )
            peaks[what] = watch(line)
    few, many, *_ = peaks.values()
    publish(
        "memory",
        f"Peak memory of beholder score, {WORKERS} workers and the parent together",
        Table(
            ["", "RSS MB", "PSS MB", "seconds"],
            [[what, f"{p.rss_mb:.0f}", f"{p.pss_mb:.0f}", f"{p.seconds:.1f}"] for what, p in peaks.items()],
        ),
        measured={
            "model": facts,
            "peaks": {what: asdict(peak) for what, peak in peaks.items()},
        },
        limits=[
            at_most(f"{given.many:,} against {given.few:,} pictures", many.rss_mb / few.rss_mb, GROWTH, " times"),
            *(at_most(what, peak.rss_mb, LIMIT_MB, " MB RSS") for what, peak in peaks.items()),
        ],
        busy_before=busy,
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
