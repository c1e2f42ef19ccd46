"""Every measurement, one after the other, and one line at the end on what is promised and what was found.

    python bench/run_all.py [MANIFEST] [--model NAME_OR_FOLDER] [--resume] [--only speed ...]

Run it on an idle machine; it takes about five minutes on two cores. A script that fails does not stop the others.
`--resume` keeps the results that this commit already has for this model. Exit code: 0, or 1 where a script failed, or
2 where a promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from record import RESULTS, commit, model_facts, script

from beholder.scoring.table import DEFAULT

NAMES = ("startup", "speed", "memory", "monotone")
TIMEOUT_S = 900.0

FAILED, BROKEN_PROMISE = 1, 2


def lines_of(given: argparse.Namespace) -> dict[str, list[str]]:
    """The command line of each script, by name."""
    lines = {}
    for name in given.only or NAMES:
        line = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), "--model", given.model]
        line += ["--results", str(given.results)]
        if name == "speed" and given.pyiqa_python:
            line += ["--pyiqa-python", given.pyiqa_python]
        if name == "monotone":
            line += [word for model in given.compare for word in ("--model", model)]
            line += [str(given.manifest)] if given.manifest else []
        lines[name] = line
    return lines


def stored(results: Path, name: str) -> dict[str, Any] | None:
    """The result of a script, None where there is none."""
    file = results / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def is_done(result: dict[str, Any] | None, weights_sha256: str, head: str | None) -> bool:
    """Whether a result is of these weights and of this commit; edited code is of no commit, so it is never done."""
    if result is None or head is None or head.endswith("+changes") or result["commit"] != head:
        return False
    measured = result["measured"]
    facts = measured["models"][0] if "models" in measured else measured["model"]
    return bool(facts["weights_sha256"] == weights_sha256)


def run(line: Sequence[str], name: str) -> bool:
    """Run one script, its table on our screen; whether it ended well."""
    print(f"\n== {name}", flush=True)
    start = time.perf_counter()
    try:
        ended = subprocess.run(line, stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"{name}: stopped after {TIMEOUT_S:.0f} s", flush=True)
        return False
    print(f"{name}: {time.perf_counter() - start:.0f} s" + (f", exit code {ended}" if ended else ""), flush=True)
    return ended == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is left to measure; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", nargs="?", type=Path, help="for monotone.py: pictures in its test split")
    parser.add_argument("--model", default=DEFAULT)
    parser.add_argument("--compare", action="append", default=[], metavar="MODEL", help="also in monotone.py")
    parser.add_argument("--pyiqa-python", help="for speed.py: a Python that has pyiqa")
    parser.add_argument("--only", nargs="+", choices=NAMES)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    weights, head = model_facts(given.model)["weights_sha256"], commit()
    failed = []
    lines = lines_of(given)
    for name, line in lines.items():
        if given.resume and is_done(stored(given.results, name), weights, head):
            print(f"\n== {name}: done before")
        elif not run(line, name):
            failed.append(name)
    results = {name: stored(given.results, name) for name in lines if name not in failed}
    limits = [(name, limit) for name, result in results.items() if result for limit in result["limits"]]
    broken = [(name, limit) for name, limit in limits if not limit["met"]]
    print(f"\n{len(limits) - len(broken)} of {len(limits)} promises kept")
    for name, limit in broken:
        print(f"MISSED  {name}: {limit['what']} is {limit['value']:.4g}, {limit['must']}")
    for name in failed:
        print(f"FAILED  {name}: no new result")
    return FAILED if failed else BROKEN_PROMISE if broken else 0


if __name__ == "__main__":
    script(main)
