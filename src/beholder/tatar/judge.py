"""Drafts of a teacher, filtered: hard rules first, then, where there is one, a judge model (TATAR, section 4).

`Filtered` is a back-end like the teacher it wraps, so `language.run` keeps, resumes and retries its rows. A draft that
is refused is asked for again with another seed; the last refusal becomes the row's status and reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from beholder.language.ask import Answer, Backend, Question
from beholder.task import Task
from beholder.tatar.rules import broken_rule

REJECTED = "rejected"
"""Status of a row whose drafts were all refused; its error says by which rule, or how the judge marked the last."""

TRIES = 3
"""Drafts per picture (our decision in section 4)."""

MARKS: Mapping[Task, tuple[str, ...]] = {
    "quality": ("fidelity", "rigour", "consistency"),
    "aesthetics": ("coverage", "groundedness", "cohesion", "smoothness"),
}
"""What a judge marks from 0 to 5."""

DECISIVE: Mapping[Task, tuple[str, ...]] = {
    "quality": ("fidelity", "consistency"),
    "aesthetics": ("groundedness", "cohesion"),
}
MOST_TO_REJECT = 2
"""A decisive mark of at most this rejects."""

_MEANS = {
    "fidelity": "everything it says can be seen in the picture",
    "rigour": "its technical terms are right and to the point",
    "consistency": "its verdict agrees with the score",
    "coverage": "it speaks of many sides of the picture",
    "groundedness": "everything it says can be seen in the picture, and agrees with the score",
    "cohesion": "its sentences make one argument",
    "smoothness": "it reads well",
}


class Filtered:
    """The teacher's drafts that pass. `Question.known` holds `task`, `level`, and `told`: score and scale in words.

    `notes` in `known`, where a draft was made from any, may not be copied and are shown to the judge.
    """

    def __init__(self, teacher: Backend, judge: Backend | None = None) -> None:
        self.name = teacher.name
        self.batch = teacher.batch
        self.concurrency = teacher.concurrency if judge is None else min(teacher.concurrency, judge.concurrency)
        self._teacher, self._judge = teacher, judge

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """As `Backend.ask`; a failure of the teacher or the judge is not tried again here, they have done so."""
        found: dict[str, Answer] = {}
        for attempt in range(TRIES):
            asked = [q for q in questions if q.id not in found or found[q.id].status == REJECTED]
            if not asked:
                break
            drafts = self._teacher.ask([replace(q, seed=q.seed + attempt * q.n_texts) for q in asked])
            found |= {q.id: self._checked(q, draft) for q, draft in zip(asked, drafts, strict=True)}
        return [found[question.id] for question in questions]

    def stop(self) -> None:
        """As `Backend.stop`."""
        self._teacher.stop()
        if self._judge is not None:
            self._judge.stop()

    def _checked(self, question: Question, draft: Answer) -> Answer:
        for number, text in enumerate(draft.texts):
            known = question.known
            if broken := broken_rule(text, known["task"], known["level"], known.get("notes") or ""):
                return Answer(question.id, status=REJECTED, error=broken)
            if self._judge is not None:
                about = replace(question, id=f"{question.id}#{number}", prompt=judge_prompt(question, text), n_texts=1)
                (verdict,) = self._judge.ask([about])
                if verdict.status != "ok":
                    return Answer(question.id, status=verdict.status, error=f"the judge: {verdict.error}")
                if refused := refusal(verdict.texts[0], known["task"]):
                    return Answer(question.id, status=refused[0], error=refused[1])
        return draft


def judge_prompt(question: Question, text: str) -> str:
    """What a judge is asked about a rationale; it sees the picture where the question has one."""
    task = question.known["task"]
    marks = "; ".join(f'"{name}": {_MEANS[name]}' for name in MARKS[task])
    notes = question.known.get("notes")
    return (
        f"Judge a text that explains the {task} of a picture. {question.known['told']}\n"
        + (f"It was written from these notes:\n{notes}\n" if notes else "")
        + f"The text:\n{text}\n"
        f"Give each of these a whole number from 0 (not at all) to 5 (fully): {marks}. "
        'Answer with one JSON object of these keys and "reason", a short sentence, and nothing else.'
    )


def refusal(verdict: str, task: Task) -> tuple[str, str] | None:
    """Status and reason where a judge's answer does not let a rationale pass: `rejected`, or `malformed` if unreadable.

    >>> refusal('{"fidelity": 2, "rigour": 4, "consistency": 5, "reason": "no blur there"}', "quality")
    ('rejected', 'judge: fidelity 2 of 5, needed is more than 2; no blur there')
    """
    body = verdict.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        found = json.loads(body)
        marks = {name: found[name] for name in MARKS[task]}
    except (ValueError, LookupError, TypeError):
        return "malformed", f"the judge's answer is not JSON of {', '.join(MARKS[task])}: {verdict[:200]!r}"
    for name, mark in marks.items():
        if isinstance(mark, bool) or not isinstance(mark, int | float) or not 0 <= mark <= 5:
            return "malformed", f"the judge marked {name} with {mark!r}; allowed is 0 to 5"
    for name in DECISIVE[task]:
        if marks[name] <= MOST_TO_REJECT:
            reason = f"judge: {name} {marks[name]:g} of 5, needed is more than {MOST_TO_REJECT}"
            return REJECTED, f"{reason}; {found.get('reason') or 'no reason given'}"
    return None
