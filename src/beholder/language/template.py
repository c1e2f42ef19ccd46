"""The back-end without a model: true sentences from what is measured and known, written by a function of the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError
from beholder.language.ask import Answer, Question
from beholder.language.cues import VIEW, Cues, measure

Write = Callable[[Question, Cues, int], str]
"""(question, cues of its picture, number of the text from 0) -> text; the same arguments give the same text."""


class Template:
    """Answers with what `write` makes of a picture's cues. Every question needs a picture."""

    def __init__(self, write: Write, concurrency: int = 1) -> None:
        self.name = "template"
        self.batch = 1
        self.concurrency = concurrency
        self._write = write

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """As `Backend.ask`."""
        return [self._answer(question) for question in questions]

    def stop(self) -> None:
        """As `Backend.stop`: there is nothing to repeat."""

    def _answer(self, question: Question) -> Answer:
        if question.picture is None:
            raise ValueError(f"question {question.id!r} has no picture; templates write about pictures only")
        try:
            cues = measure(open_image(question.picture, fit=VIEW).rgb)
        except ImageError as error:
            return Answer(question.id, status=error.status, error=str(error))
        return Answer(question.id, tuple(self._write(question, cues, i) for i in range(question.n_texts)))
