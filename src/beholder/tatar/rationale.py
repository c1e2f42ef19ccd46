"""Rationales of rated pictures: what a teacher is asked, and the rows that SFT reads (TATAR, section 4 of our spec).

Quality is explained backwards from its score in two sentences, with the picture in view. Aesthetics is one narrative
over eight aspects, made from notes on them, of experts or of a model (`notes`), without the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from beholder.language.ask import Answer, Question, Sampling
from beholder.language.rows import read_rows
from beholder.language.run import Job, Shape
from beholder.task import Task
from beholder.tatar.rated import Rated
from beholder.tatar.rules import ASPECTS, LONGEST_QUOTE, QUALITY_SENTENCES, WORDS

SHAPE = Shape(id="image_id", texts="rationales")

PROMPT_VERSION = "1"
"""Counts up whenever a prompt, a hard rule, or a template of the teacher without a model, changes."""

SAMPLING: Mapping[Task, Sampling] = {
    "quality": Sampling(temperature=0.3, top_p=0.8, max_tokens=140),
    "aesthetics": Sampling(temperature=0.2, top_p=0.9, max_tokens=500),
}
"""How the published teachers draw; notes are drawn as narratives are."""

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


def prompt(task: Task, told: str, notes: str = "") -> str:
    """What a teacher is asked about a picture's quality, or about the aesthetics that its notes speak of."""
    fewest, most = WORDS[task]
    length = f"Use {fewest} to {most} words"
    if task == "quality":
        return (
            f"{told} This was said of the technical quality of this picture; take it as given and explain it by the "
            "one or two technical factors that decide it, such as sharpness, noise, exposure, colour or compression. "
            f"Say nothing of beauty, composition or mood. {length}, in exactly {QUALITY_SENTENCES} sentences. {_FORM}"
        )
    return (
        f"{told} This was said of how beautiful a picture is; take it as given and lead up to it in one coherent "
        f"narrative from these notes on the picture:\n{notes}\n"
        f"Go through its {', '.join(list(ASPECTS)[:-1])} and the {list(ASPECTS)[-1]} impression, in this order. "
        f"Don't copy more than {LONGEST_QUOTE - 5} words in a row, and don't speak of notes. "
        f"Where the verdict is bad or poor, be clearly negative. {length}. {_FORM}"
    )


def rationale_jobs(
    pictures: Sequence[Rated],
    out: Path,
    *,
    teacher: str,
    judge: str | None = None,
    notes: Mapping[str, Answer] | None = None,
    seed: int = 0,
) -> list[Job]:
    """A job per picture; `notes` are those that a model wrote for pictures of aesthetics without any of experts.

    Where that failed, the row says so and nothing is asked. `teacher` and `judge` are names for the rows. The teacher
    `template` reads no notes, it looks at the picture.
    """
    return [_job(p, out, teacher, judge, (notes or {}).get(p.id), seed) for p in pictures]


def _job(p: Rated, out: Path, teacher: str, judge: str | None, written: Answer | None, seed: int) -> Job:
    refused, notes, picture = p.refused, "", p.path if p.task == "quality" or teacher == "template" else None
    if picture is None:
        notes = p.notes or (written.texts[0] if written and written.status == "ok" else "")
    if picture is None and not notes and refused is None:
        if written is None:
            raise ValueError(f"{p.id!r} has no notes; a narrative of aesthetics is made from notes")
        refused = Answer(p.id, status=written.status, error=f"the notes: {written.error}")
    known = {"task": p.task, "level": p.level, "told": p.told, "notes": notes, "picture": p.path, **p.damage}
    columns = {**p.columns(out), "teacher": teacher, "judge": judge, "prompt_version": PROMPT_VERSION}
    return Job(Question(p.id, prompt(p.task, p.told, notes), picture, 1, seed, known), columns, refused)


def read_rationales(file: Path) -> list[Rationale]:
    """The rows of a file of rationales that may be learned from: those with status `ok`, in its order."""
    return [
        Rationale(row["image_id"], file.parent / row["path"], row["task"], row["target"], row["rationales"][0])
        for row in read_rows(file)
        if row["status"] == "ok"
    ]
