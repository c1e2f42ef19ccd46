"""Rationales of a teacher, filtered: hard rules first, then, where there is one, a judge model (TATAR, section 4).

`Filtered` is a back-end like the teacher it wraps, so `language.run` keeps, resumes and retries its rows. A draft that
is rejected is asked for again with another seed; where none passes, the row says why each did not.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from beholder.language.ask import Answer, Backend, Question, Sampling
from beholder.language.redraft import REJECTED, redrafted
from beholder.language.rows import Row
from beholder.task import Task
from beholder.tatar.rules import broken_rule

SAMPLING = Sampling(temperature=0.0, max_tokens=2000)
"""A judge decides, it doesn't draw; the limit leaves room for a model that thinks aloud first."""

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

    `known` may also hold `notes`, which a draft was made from and may not copy, and `picture`, for the judge to look at
    where the teacher is not shown it.
    """

    def __init__(self, teacher: Backend, judge: Backend | None = None) -> None:
        self.name = teacher.name
        self.batch = teacher.batch
        self.concurrency = teacher.concurrency if judge is None else min(teacher.concurrency, judge.concurrency)
        self._teacher, self._judge = teacher, judge

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """As `Backend.ask`; a failure of the teacher or the judge is not tried again here, they have done so."""
        return redrafted(questions, self._teacher.ask, self._checked)

    def stop(self) -> None:
        """As `Backend.stop`."""
        self._teacher.stop()
        if self._judge is not None:
            self._judge.stop()

    def _checked(self, questions: Sequence[Question], texts: Sequence[str]) -> list[Answer]:
        found = {}
        passed: list[tuple[Question, str]] = []
        for question, text in zip(questions, texts, strict=True):
            known = question.known
            if broken := broken_rule(text, known["task"], known["level"], known.get("notes") or ""):
                found[question.id] = Answer(question.id, status=REJECTED, error=broken)
            else:
                found[question.id] = Answer(question.id, (text,))
                passed.append((question, text))
        if self._judge is not None:
            for start in range(0, len(passed), self._judge.batch):
                some = passed[start : start + self._judge.batch]
                verdicts = self._judge.ask([judge_question(question, text) for question, text in some])
                for (question, _), verdict in zip(some, verdicts, strict=True):
                    if refused := _refused(question, verdict):
                        found[question.id] = refused
        return list(found.values())


def judge_question(question: Question, text: str) -> Question:
    """What a judge is asked about a rationale, with the picture beside it where there is one."""
    task = question.known["task"]
    marks = "; ".join(f'"{name}": {_MEANS[name]}' for name in MARKS[task])
    notes = question.known.get("notes")
    prompt = (
        f"Judge a text that explains the {task} of a picture. {question.known['told']}\n"
        + (f"It was written from these notes:\n{notes}\n" if notes else "")
        + f"The text:\n{text}\n"
        f"Give each of these a whole number from 0 (not at all) to 5 (fully): {marks}. "
        'Answer with one JSON object of these keys and "reason", a short sentence, and nothing else.'
    )
    return replace(question, prompt=prompt, picture=question.picture or question.known.get("picture"))


def refusal(verdict: str, task: Task) -> tuple[str, str] | None:
    """Status and reason where a judge's answer does not let a rationale pass: `rejected`, or `malformed` if unreadable.

    >>> refusal('{"fidelity": 2, "rigour": 4, "consistency": 5, "reason": "no blur there"}', "quality")
    ('rejected', 'fidelity: the judge gives 2 of 5, needed is more than 2; no blur there')
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
            reason = f"{name}: the judge gives {marks[name]:g} of 5, needed is more than {MOST_TO_REJECT}"
            said = str(found.get("reason") or "no reason given").replace("|", "/")  # | stands between drafts' reasons
            return REJECTED, f"{reason}; {said}"
    return None


def rejections(rows: Iterable[Row]) -> Counter[str]:
    """By which rule, or which mark of the judge, the last draft of each rejected row failed."""
    reasons = (row["error"].split(" | ")[-1] for row in rows if row["status"] == REJECTED)
    return Counter(reason.partition(":")[0] for reason in reasons)


def _refused(question: Question, verdict: Answer) -> Answer | None:
    if verdict.status != "ok":
        return Answer(question.id, status=verdict.status, error=f"the judge: {verdict.error}")
    if refused := refusal(verdict.texts[0], question.known["task"]):
        return Answer(question.id, status=refused[0], error=refused[1])
    return None
