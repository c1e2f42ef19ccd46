"""Drafts that are checked before they are kept: a rejected one is asked for again, with another seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from beholder.language.ask import Answer, Question

REJECTED = "rejected"
"""Status of a row whose drafts were all rejected; its error holds each reason."""

TRIES = 3

Ask = Callable[[Sequence[Question]], list[Answer]]
Check = Callable[[Sequence[Question], Sequence[str]], Sequence[Answer]]
"""(questions, a draft of each) -> answers: `ok` with the text to keep, `rejected` with a reason, or a final failure."""


def redrafted(questions: Sequence[Question], ask: Ask, check: Check, tries: int = TRIES) -> list[Answer]:
    """One checked answer per question of one text, in order. Failures of `ask` are final: it has its own patience."""
    found: dict[str, Answer] = {}
    reasons: dict[str, list[str]] = {question.id: [] for question in questions}
    for attempt in range(tries):
        asked = [replace(q, seed=q.seed + attempt) for q in questions if q.id not in found]
        if not asked:
            break
        answers = ask(asked)
        drafts = [(q, answer.texts[0]) for q, answer in zip(asked, answers, strict=True) if answer.status == "ok"]
        checked = check([q for q, _ in drafts], [text for _, text in drafts])
        for answer in (*(answer for answer in answers if answer.status != "ok"), *checked):
            if answer.status == REJECTED:
                reasons[answer.id].append(answer.error or "")
            else:
                found[answer.id] = answer
    return [
        found.get(q.id) or Answer(q.id, status=REJECTED, error=" | ".join(dict.fromkeys(reasons[q.id])))
        for q in questions
    ]
