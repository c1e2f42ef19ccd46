"""What every measurement leaves behind: one table on the screen, and one JSON with the table, the numbers, the machine.

The table is stored as it was printed, so a document that shows it (`python -m beholder.evaluate.tables`) can't drift
from what was measured. No path and no host name of the machine is written.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as ScreenTable

from beholder.batch.files import replacing
from beholder.batch.workers import usable_cpus
from beholder.errors import UserError
from beholder.scoring.table import resolve

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
QUICK = "quick"
"""Folder below that of results for those of a first look, which git ignores and no document shows."""

PACKAGES = ("beholder", "numpy", "pillow", "onnxruntime", "pyarrow", "torch", "transformers", "diffusers", "pyiqa")

BUSY = 0.1
"""Share of the machine that others may use before a measurement; with more, the result says so."""


class CommandError(RuntimeError):
    """A command that is measured failed; holds what it said."""


@dataclass(frozen=True)
class Table:
    """Cells as they are printed; the first column is text, the others are numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Limit:
    """A promise about a measured value."""

    what: str
    value: float
    must: str
    """In words, with the unit: `at most 700 MB`."""
    met: bool


def at_most(what: str, value: float, limit: float, unit: str = "") -> Limit:
    """A value that must not be above `limit`."""
    return Limit(what, value, f"at most {limit:g}{unit}", value <= limit)


def at_least(what: str, value: float, limit: float, unit: str = "") -> Limit:
    """A value that must not be below `limit`."""
    return Limit(what, value, f"at least {limit:g}{unit}", value >= limit)


def publish(
    name: str,
    title: str,
    table: Table,
    *,
    measured: Mapping[str, Any],
    limits: Sequence[Limit] = (),
    notes: Sequence[str] = (),
    busy_before: float | None,
    folder: Path = RESULTS,
) -> Path:
    """Print the table, its limits and notes; write `folder/name.json`, whole or not at all. Returns that file.

    `measured` holds the raw numbers behind the table. `busy_before` is `busy_share()` from before the measurement.
    """
    notes = [*notes, *_warn_if_busy(busy_before)]
    content = {
        "format": 1,
        "name": name,
        "title": title,
        "caption": caption(title, notes),
        "table": asdict(table),
        "limits": [asdict(limit) for limit in limits],
        "notes": notes,
        "measured": dict(measured),
        "machine": machine() | {"busy_before": busy_before},
        "versions": versions(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "command": command(sys.argv),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / f"{name}.json") as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _show(title, table, limits, notes)
    return folder / f"{name}.json"


def machine() -> dict[str, str | int | float | None]:
    """Processor, cores that this process may use, memory in GiB, system; nothing that names the machine."""
    return {
        "cpu": _cpu_model(),
        "cores": usable_cpus(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def caption(title: str, notes: Sequence[str]) -> str:
    """What has to stand below the table wherever it is shown: what, on which machine, when, and what to mind."""
    facts, packages = machine(), versions()
    where = f"{facts['cores']} cores of {facts['cpu']}, Python {packages['python']}"
    runtime = f", onnxruntime {packages['onnxruntime']}" if "onnxruntime" in packages else ""
    return " ".join([f"{title}. Measured on {where}{runtime}, {datetime.now(UTC):%Y-%m-%d}.", *notes])


def model_facts(model: str) -> dict[str, str]:
    """Name, version and hash of what is measured. Raises UserError where there is no such model."""
    card = resolve(model).card()
    return {"name": card.name, "version": card.version, "weights_sha256": card.weights_sha256}


def versions() -> dict[str, str]:
    """Python, and those of `PACKAGES` that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Short hash of the commit measured, with `+changes` where its code was edited since; None outside git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--", "src", "bench/*.py", "pyproject.toml")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def command(argv: Sequence[str]) -> str:
    """The command line that was typed, with every absolute path cut to its last name."""
    names = [Path(word).name if Path(word).is_absolute() else word for word in argv[1:]]
    return shlex.join(["python", f"bench/{Path(argv[0]).name}", *names])


def busy_share(seconds: float = 1.0) -> float | None:
    """Share of all CPU time that others used during `seconds`, 0 to 1; None where the system doesn't tell."""
    try:
        before = _cpu_ticks()
        time.sleep(seconds)
        after = _cpu_ticks()
    except OSError:
        return None
    total, idle = (b - a for a, b in zip(before, after, strict=True))
    return round(1 - idle / total, 3) if total else None


def beholder_command(*arguments: str) -> list[str]:
    """`beholder ARGUMENTS` as a command line, in this Python, whatever is on PATH."""
    return [sys.executable, "-m", "beholder", *arguments]


def run_quietly(line: Sequence[str]) -> float:
    """Run a command to its end; wall seconds. Raises CommandError with what it said where it fails.

    Python keeps the modules that it compiles, as on anybody's machine, also where the environment forbids it: without
    that each run would compile NumPy anew, which takes longer than to score several pictures.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment)
    seconds = time.perf_counter() - start
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise CommandError(f"exit code {done.returncode} from: {shlex.join(line[1:])}\n{said[-2000:]}")
    return seconds


def script(main: Callable[[], int | None]) -> None:
    """Run a script's `main` and exit; what a person can put right ends it with one line, a bug with its traceback."""
    try:
        sys.exit(main())
    except (UserError, CommandError) as error:
        sys.exit(f"error: {error}")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _cpu_ticks() -> tuple[int, int]:
    """Total and idle ticks since boot (`man 5 proc`, /proc/stat; guest time is part of user time)."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _memory_gib() -> float | None:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)


def _warn_if_busy(share: float | None) -> list[str]:
    if share is None or share <= BUSY:
        return []
    return [f"{share:.0%} of the machine was busy with other work before this run: repeat it on an idle machine."]


def _show(title: str, table: Table, limits: Sequence[Limit], notes: Sequence[str]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    screen = ScreenTable(title=title, title_justify="left")
    for i, column in enumerate(table.columns):
        screen.add_column(column, justify="right" if i else "left")
    for row in table.rows:
        screen.add_row(*row)
    console.print(screen)
    for limit in limits:
        mark, style = ("ok    ", "green") if limit.met else ("MISSED", "bold red")
        console.print(f"{mark}  {limit.what}: {limit.value:.4g}, {limit.must}", style=style, soft_wrap=True)
    for note in notes:
        console.print(f"note: {note}", soft_wrap=True)
