"""The unified set of pre-training: pictures, each with all the texts that were written about it.

Rows come as JSON lines, one per picture and task (spec, section 2): `image_id, path, task, level, captions[],
captioner, prompt_version, status, error`. Captions, purified comments and both tasks of one picture end in one entry,
so a batch that draws each entry once holds no picture twice, and no text is punished for fitting its own picture.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from beholder.data.columns import utf8_only
from beholder.errors import UserError
from beholder.task import LEVELS, TASKS, Task

MAX_EXAMPLES = 3
"""Examples of a refused row that are kept per reason."""


@dataclass(frozen=True)
class Described:
    """One picture and what was said about it."""

    path: str
    tasks: frozenset[Task]
    """What the texts are about; `quality` pictures are also seen at their native size."""
    texts: tuple[str, ...]
    """At least one, none empty, each once."""

    def draw(self, rng: np.random.Generator) -> str:
        """One text at random, each with the same chance."""
        return self.texts[int(rng.integers(len(self.texts)))]


@dataclass
class Refused:
    """Rows that were left out, counted by reason, with a few of their places."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, place: str) -> None:
        """Count one row."""
        self.counts[reason] += 1
        kept = self.examples.setdefault(reason, [])
        if len(kept) < MAX_EXAMPLES:
            kept.append(place)

    def __str__(self) -> str:
        parts = [f"{n} x {reason} (e.g. {self.examples[reason][0]})" for reason, n in self.counts.most_common()]
        return f"{sum(self.counts.values())} rows left out" + (f": {'; '.join(parts)}" if parts else "")


@dataclass(frozen=True)
class UnifiedSet:
    """Every usable picture once, in the order of its first row."""

    pictures: tuple[Described, ...]
    refused: Refused

    def __len__(self) -> int:
        return len(self.pictures)

    def texts(self) -> list[str]:
        """All texts of all pictures, with repetitions."""
        return [text for picture in self.pictures for text in picture.texts]

    def only(self, task: Task) -> UnifiedSet:
        """The pictures that have texts of one task alone. Raises UserError where there is none."""
        kept = tuple(picture for picture in self.pictures if picture.tasks == {task})
        if not kept:
            raise UserError(f"no picture has texts about {task} alone; the set has {len(self)} pictures")
        return UnifiedSet(kept, self.refused)


def read_unified(files: Sequence[Path], image_root: Path | None = None) -> UnifiedSet:
    """The union of caption and comment files. Relative paths start at `image_root`, or at the file they are in.

    A row that can't be used is counted in `refused` with its reason: status not `ok`, no JSON, an unknown task or
    level, a missing picture, no text. Raises UserError for a missing file or where no row is left.
    """
    texts: dict[str, dict[str, None]] = {}
    tasks: dict[str, set[Task]] = {}
    refused = Refused()
    for file in files:
        root = (image_root or file.parent).resolve()
        for place, row in _rows(file, refused):
            reason = _problem(row)
            path = (root / str(row.get("path", ""))).resolve()
            if reason is None and str(path) not in texts and not path.is_file():
                reason = "missing picture"
            if reason is not None:
                refused.add(reason, place)
                continue
            name = str(path)
            found = [text.strip() for text in row["captions"] if isinstance(text, str) and text.strip()]
            texts.setdefault(name, {}).update(dict.fromkeys(found))
            tasks.setdefault(name, set()).add(row["task"])
    if not texts:
        raise UserError(f"{', '.join(map(str, files)) or 'no file'}: no row can be used; {refused}")
    pictures = tuple(Described(name, frozenset(tasks[name]), tuple(found)) for name, found in texts.items())
    return UnifiedSet(pictures, refused)


def _rows(file: Path, refused: Refused) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not file.is_file():
        raise UserError(f"{file} is not a file; write captions with `beholder data caption`")
    with utf8_only(file), file.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            place = f"{file} line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                refused.add("not JSON", place)
                continue
            if isinstance(row, dict):
                yield place, row
            else:
                refused.add("not an object", place)


def _problem(row: Mapping[str, Any]) -> str | None:
    """Why a row can't be used, apart from its picture; None if nothing is wrong."""
    if row.get("status", "ok") != "ok":
        return f"status {row['status']}"
    if not row.get("path"):
        return "no path"
    if row.get("task") not in TASKS:
        return f"unknown task {row.get('task')!r}"
    if row.get("level") is not None and row["level"] not in LEVELS:
        return f"unknown level {row['level']!r}"
    captions = row.get("captions")
    if not isinstance(captions, list) or not any(isinstance(text, str) and text.strip() for text in captions):
        return "empty text"
    return None
