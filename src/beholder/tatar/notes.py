"""Notes on the eight aspects of aesthetics, written from a picture where no expert has left any (TATAR, section 4).

The first of two steps: a vision-language model notes what it sees, told the level word but no score; then a narrative
is written from the notes (`rationale`). They are rows of a file of their own, so the narrative can be written again
without them, by another teacher, and read beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from beholder.language.ask import Answer, Backend, Question, Sampling
from beholder.language.redraft import REJECTED, redrafted
from beholder.language.rows import read_rows
from beholder.language.run import Job, Shape
from beholder.tatar.rated import Rated, in_lines
from beholder.tatar.rules import ASPECTS

SHAPE = Shape(id="image_id", texts="notes")

PROMPT_VERSION = "1"
"""Counts up whenever the prompt changes."""

SAMPLING = Sampling(temperature=0.2, top_p=0.9, max_tokens=2000)
"""As narratives are drawn; the limit leaves room for a model that thinks aloud first."""

FEWEST_WORDS = 4
"""Of a note; less says nothing that could be retold."""

_NUMBERS = re.compile(r"\b\d+(\.\d+)?\s*(/|out of|of)\s*\d+\b|\bscored?\b|\brated\b", re.I)


def notes_prompt(level: str) -> str:
    """What a vision-language model is asked about a picture that people find as beautiful as `level` says."""
    lines = "\n".join(f"{aspect}: ..." for aspect in ASPECTS)
    return (
        f"People find this picture {level} as a photograph. Note what they may have seen, one or two plain sentences "
        "on each aspect, about this picture only, good or bad as it is. Give no number and no rating. Answer with "
        f"exactly these {len(ASPECTS)} lines and nothing else:\n{lines}"
    )


def notes_jobs(pictures: Sequence[Rated], out: Path, *, writer: str, seed: int = 0) -> list[Job]:
    """A job per picture without notes; those that may not be asked about get no row here, but one in the next step."""
    facts = {"writer": writer, "prompt_version": PROMPT_VERSION}
    return [
        Job(Question(p.id, notes_prompt(p.level), p.path, 1, seed), {**p.columns(out), **facts})
        for p in pictures
        if not p.notes and p.refused is None
    ]


class Noting:
    """A vision-language model's notes; what can't be read as eight of them is asked for again with another seed."""

    def __init__(self, writer: Backend) -> None:
        self.name, self.batch, self.concurrency = writer.name, writer.batch, writer.concurrency
        self._writer = writer

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """As `Backend.ask`; the text of an answer is `aspect: note`, a line each, in the order of `ASPECTS`."""
        return redrafted(questions, self._writer.ask, _checked)

    def stop(self) -> None:
        """As `Backend.stop`."""
        self._writer.stop()


def read_notes(text: str) -> dict[str, str]:
    """The notes of a model by aspect, in the order of `ASPECTS`; marks of lists and emphasis are dropped.

    Raises `ValueError`, `rule: what was found`, where one is missing, given twice, too short, or names a score.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, note = re.sub(r"^[\s\-*#\d.)]+|\*\*", "", line).partition(":")
        aspect = name.strip().lower().replace("_", " ")
        if colon and aspect in ASPECTS:
            if aspect in found:
                raise ValueError(f"format: {aspect} is noted twice")
            found[aspect] = note.strip()
    if missing := [aspect for aspect in ASPECTS if len(found.get(aspect, "").split()) < FEWEST_WORDS]:
        raise ValueError(f"format: no note of at least {FEWEST_WORDS} words on {', '.join(missing)}")
    if number := _NUMBERS.search(text):
        raise ValueError(f"numbers: the notes say {number[0]!r}")
    return {aspect: found[aspect] for aspect in ASPECTS}


def _checked(questions: Sequence[Question], texts: Sequence[str]) -> list[Answer]:
    found = []
    for question, text in zip(questions, texts, strict=True):
        try:
            found.append(Answer(question.id, (in_lines(read_notes(text)),)))
        except ValueError as error:
            found.append(Answer(question.id, status=REJECTED, error=str(error)))
    return found


def written_notes(file: Path) -> dict[str, Answer]:
    """What a run of `notes_jobs` left, by picture: the notes, or why there are none."""
    return {
        row["image_id"]: Answer(row["image_id"], tuple(row["notes"]), row["status"], row["error"])
        for row in read_rows(file)
    }
