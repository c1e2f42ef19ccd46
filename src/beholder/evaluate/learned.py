"""Learned metrics, by pyiqa in a process of its own: nothing is downloaded, what is not there is skipped by name."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from beholder.errors import UserError
from beholder.evaluate.restored_result import LEARNED, METRICS

SCRIPT = Path(__file__).with_name("pyiqa_process.py")


@dataclass
class Learned:
    """What pyiqa measured."""

    values: dict[str, dict[int, float]] = field(default_factory=dict)
    """Metric to index of a pair to its value."""
    problems: dict[str, dict[int, str]] = field(default_factory=dict)
    """Likewise, why there is none."""
    of_folders: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    about: str | None = None
    """Versions."""


def measure_learned(
    pairs: Sequence[tuple[Path, Path]],
    *,
    metrics: Sequence[str] = LEARNED,
    python: str | None = None,
    device: str = "cpu",
    on_value: Callable[[str, int], None] = lambda metric, index: None,
) -> Learned:
    """Each of `metrics` on pairs of files (output, true picture). `python` is one that has pyiqa; this one if None.

    `on_value` is told of every value. Raises UserError where `python` can't be started or ends without an answer.
    """
    found = Learned()
    if not pairs:
        found.skipped = dict.fromkeys(metrics, "there is no pair of pictures")
        return found
    name_of = {METRICS[name].pyiqa: name for name in metrics}
    with tempfile.TemporaryDirectory(prefix="beholder-fid-") as linked, tempfile.TemporaryFile("w+") as errors:
        job = {
            "metrics": list(name_of),
            "pairs": [[str(path.resolve()) for path in pair] for pair in pairs],
            "folders": _linked(pairs, Path(linked)),
            "device": device,
        }
        try:
            process = subprocess.Popen(
                [python or sys.executable, str(SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            raise UserError(f"--pyiqa-python {python}: {error.strerror}. Name the Python that has pyiqa") from None
        with process:
            try:
                _hear(process, job, found, name_of, metrics, on_value)
            except BaseException:
                process.kill()
                raise
        reason = "pyiqa gave no number"
        if process.returncode:
            errors.seek(0)
            said = errors.read().strip().splitlines() or ["no message"]
            reason = f"pyiqa's process ended with exit code {process.returncode}: {said[-1]}"
    for name in metrics:
        if name not in found.values and name not in found.of_folders:
            first = next(iter(found.problems.pop(name, {}).values()), reason)
            found.skipped.setdefault(name, first)
    return found


def _hear(
    process: subprocess.Popen[str],
    job: dict[str, Any],
    found: Learned,
    name_of: dict[str | None, str],
    metrics: Sequence[str],
    on_value: Callable[[str, int], None],
) -> None:
    questions, answers = process.stdin, process.stdout
    assert questions is not None
    assert answers is not None
    _send(questions, job)
    for line in answers:
        said = json.loads(line)
        if "about" in said:
            found.about = said["about"]
        elif "missing" in said:
            found.skipped = dict.fromkeys(metrics, "pyiqa is not installed")
        elif "skipped" in said:
            found.skipped[name_of[said["metric"]]] = said["skipped"]
        elif "problem" in said:
            found.problems.setdefault(name_of[said["metric"]], {})[said["index"]] = said["problem"]
        elif "index" in said:
            name = name_of[said["metric"]]
            found.values.setdefault(name, {})[said["index"]] = said["value"]
            on_value(name, said["index"])
        else:
            found.of_folders[name_of[said["metric"]]] = said["value"]


def _send(stream: IO[str], job: dict[str, Any]) -> None:
    try:
        json.dump(job, stream)
        stream.close()
    except BrokenPipeError:
        pass  # it ended before it read; its exit code says so


def _linked(pairs: Sequence[tuple[Path, Path]], folder: Path) -> list[str]:
    """Two folders of links to these pairs alone: whatever else lies beside them has no part in FID."""
    sides = [folder / "outputs", folder / "truth"]
    for side, paths in zip(sides, zip(*pairs, strict=True), strict=True):
        side.mkdir()
        for index, path in enumerate(paths):
            (side / f"{index:06d}{path.suffix.lower()}").symlink_to(path.resolve())
    return [str(side) for side in sides]
