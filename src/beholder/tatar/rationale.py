"""Rationales of rated pictures: what a teacher is asked, and the rows that SFT reads (TATAR, section 4 of our spec).

Quality is explained backwards from its score in two sentences. Aesthetics is one narrative over eight aspects: from a
picture's notes, where the manifest has them, without the picture; otherwise from the picture itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.data.columns import Split
from beholder.data.held_out import HeldOut
from beholder.data.manifest import Manifest
from beholder.errors import UserError
from beholder.language.ask import Answer, Question
from beholder.language.rows import read_rows
from beholder.language.run import Job, Shape
from beholder.task import ScoreRange, Task, level_of
from beholder.tatar.answer import target
from beholder.tatar.rules import ASPECTS, LONGEST_QUOTE, QUALITY_SENTENCES, WORDS

SHAPE = Shape(id="image_id", texts="rationales")

PROMPT_VERSION = "1"
"""Counts up whenever a prompt, or a template of the teacher without a model, changes."""

HELD_OUT = "held_out"
"""Status of a row whose picture is one of a test part."""

NOTES = tuple(name.replace(" ", "_") for name in ASPECTS)
"""Columns of a manifest with notes of experts, one per aspect; a row counts as noted where all eight are filled."""

_FORM = (
    "Write plain English prose. Never mention a number, a score or a rating, and use no list, heading or introduction."
)


@dataclass(frozen=True)
class Rationale:
    """One row that may be learned from."""

    image_id: str
    path: Path
    task: Task
    target: float
    """0 to 100, higher is better."""
    text: str


def told(score: float, declared: ScoreRange) -> str:
    """Score, scale and level as a teacher and a judge are told them.

    >>> told(3.2, ScoreRange(1, 5))
    'People gave it 3.2 on a scale from 1 (worst) to 5 (best), which is fair.'
    """
    worst, best = (declared.low, declared.high) if declared.higher_is_better else (declared.high, declared.low)
    level = level_of(declared.to_unit(score))
    return f"People gave it {score:g} on a scale from {worst:g} (worst) to {best:g} (best), which is {level}."


def prompt(task: Task, told: str, notes: str = "") -> str:
    """What a teacher is asked about a picture, or about its notes alone."""
    fewest, most = WORDS[task]
    length = f"Use {fewest} to {most} words"
    if task == "quality":
        return (
            f"{told} This was said of the technical quality of this picture; take it as given and explain it by the "
            "one or two technical factors that decide it, such as sharpness, noise, exposure, colour or compression. "
            f"Say nothing of beauty, composition or mood. {length}, in exactly {QUALITY_SENTENCES} sentences. {_FORM}"
        )
    source = f"these notes on a picture:\n{notes}\nDon't copy more than {LONGEST_QUOTE - 5} words in a row. "
    return (
        f"{told} This was said of how beautiful the picture is; take it as given and lead up to it in one coherent "
        f"narrative from {source if notes else 'what you see in this picture. '}"
        f"Go through its {', '.join(list(ASPECTS)[:-1])} and the {list(ASPECTS)[-1]} impression, in this order. "
        f"Where the verdict is bad or poor, be clearly negative. {length}. {_FORM}"
    )


def rationale_jobs(
    manifest: Manifest,
    out: Path,
    *,
    splits: Sequence[Split] = ("train",),
    teacher: str,
    held_out: HeldOut | None = None,
    seed: int = 0,
) -> list[Job]:
    """A job per picture of `splits`, in the manifest's order; `image_id` is the manifest's `path`.

    A picture in `held_out` gets a row with status `held_out`, one that is missing a row with status `unreadable`. The
    `path` of a row is relative to the folder of `out`. The teacher without a model reads no notes, it looks at the
    picture. Raises `UserError` where the manifest has some columns of `NOTES` but not all.
    """
    columns = set(manifest.table.column_names)
    if (has := columns & set(NOTES)) and has != set(NOTES):
        missing = ", ".join(name for name in NOTES if name not in columns)
        raise UserError(
            f"the manifest has notes ({', '.join(sorted(has))}) but lacks {missing}; needed are all or none"
        )
    noted = has and manifest.task == "aesthetics" and teacher != "template"
    notes = zip(*(manifest.column(name) for name in NOTES), strict=True) if noted else [()] * len(manifest)
    damage = {name: manifest.column(name) for name in ("distortion", "distortion_level") if name in columns}
    jobs = []
    for row, (name, path, score, split, cells) in enumerate(
        zip(manifest.column("path"), manifest.paths(), manifest.scores(), manifest.column("split"), notes, strict=True)
    ):
        if split not in splits:
            continue
        text = (
            "\n".join(f"{aspect}: {cell}" for aspect, cell in zip(ASPECTS, cells, strict=False)) if all(cells) else ""
        )
        level, said = level_of(manifest.range.to_unit(float(score))), told(float(score), manifest.range)
        known = {"task": manifest.task, "level": level, "told": said, "notes": text}
        known |= {column: values[row] for column, values in damage.items()}
        refused = None
        if owner := held_out.owner(path) if held_out else None:
            refused = Answer(name, status=HELD_OUT, error=f"the same file is in the test part of {owner}")
        elif not path.is_file():
            refused = Answer(name, status="unreadable", error=f"{path} is not there")
        question = Question(name, prompt(manifest.task, said, text), None if text else path, 1, seed, known)
        facts = {
            "path": Path(os.path.relpath(path, out.parent)).as_posix(),
            "task": manifest.task,
            "target": target(float(score), manifest.range),
            "level": level,
            "teacher": teacher,
            "prompt_version": PROMPT_VERSION,
        }
        jobs.append(Job(question, facts, refused))
    return jobs


def read_rationales(file: Path) -> list[Rationale]:
    """The rows of a file of rationales that may be learned from: those with status `ok`, in its order."""
    return [
        Rationale(row["image_id"], file.parent / row["path"], row["task"], row["target"], row["rationales"][0])
        for row in read_rows(file)
        if row["status"] == "ok"
    ]
