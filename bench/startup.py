"""How long a person waits before anything happens: import, help, one picture. Whole processes, median of several.

python bench/startup.py [--model NAME_OR_FOLDER] [--runs 7]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from pictures import clean_examples
from record import RESULTS, Table, at_most, beholder_command, busy_share, model_facts, publish, run_quietly, script

from beholder.scoring.table import DEFAULT

HEAVY = ("torch", "transformers", "ray", "scipy", "pandas")
"""Modules that nothing on the way to a score may load."""

LIMITS_S = {"import beholder": 0.3, "beholder --help": 0.5}


def commands(model: str) -> dict[str, list[str]]:
    """What is timed, by the name it gets in the table. `python` alone is what nobody can avoid."""
    python = [sys.executable, "-c"]
    return {
        "python -c pass": [*python, "pass"],
        "import beholder": [*python, "import beholder"],
        "beholder --help": beholder_command("--help"),
        "beholder score ONE.jpg": beholder_command("score", str(clean_examples()[0]), "--model", model),
    }


def time_runs(lines: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Wall seconds of each command, `runs` times after one that warms the disk cache, in turn against slow drifts."""
    for line in lines.values():
        run_quietly(line)
    seconds: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(runs):
        for name, line in lines.items():
            seconds[name].append(run_quietly(line))
    return seconds


def modules_loaded(model: str) -> list[str]:
    """Those of `HEAVY` in a fresh process that did what parent and workers of `beholder score` do."""
    picture = str(clean_examples()[0])
    code = (
        "import contextlib, io, sys, beholder\n"
        "from beholder.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    main(['score', {picture!r}, '--model', {model!r}, '--workers', '1'])\n"
        f"beholder.load({model!r}).score({picture!r})\n"
        f"print(*sorted({set(HEAVY)!r} & set(sys.modules)))\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    facts = model_facts(given.model)
    busy = busy_share()
    seconds = time_runs(commands(given.model), given.runs)
    rows = [[name, *(f"{f(values) * 1000:.0f}" for f in (median, min, max))] for name, values in seconds.items()]
    loaded = modules_loaded(given.model)
    publish(
        "startup",
        f"From a cold process, {given.runs} runs each",
        Table(["command", "median ms", "fastest ms", "slowest ms"], rows),
        measured={"model": facts, "seconds": seconds, "modules_loaded": loaded},
        limits=[
            *(at_most(f"{name}, median", median(seconds[name]), limit, " s") for name, limit in LIMITS_S.items()),
            at_most(f"modules of {', '.join(HEAVY)} loaded by a score", len(loaded), 0),
        ],
        busy_before=busy,
        folder=given.results,
    )


if __name__ == "__main__":
    script(main)
