"""What the model writes: an optional `<think>` block, then `<answer>NUMBER</answer>` (TATAR, section 2 of our spec).

Asked for a level it writes one sentence that ends with the level word (section 9); that is weighed and never read.

One scale, 0 to 100 and higher is better, for every task and data set; a number is used as it stands. What can't be read
is a failure with a reason, never a score.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from beholder.task import ScoreRange, Task

Reason = Literal["truncated", "bad_think", "no_think", "no_answer", "many_answers", "not_a_number", "out_of_range"]
"""Why there is no score. `truncated`: the text hit the token limit, or ends inside the answer block; `no_think`: there
are no reasons, and they were required."""

SCALE = ScoreRange(0, 100)
"""The scale of every answer."""

THINK, END_THINK = "<think>", "</think>"
ANSWER, END_ANSWER = "<answer>", "</answer>"
TAGS = (THINK, END_THINK, ANSWER, END_ANSWER)

LEVEL_PREFIX: Mapping[Task, str] = {
    "quality": "The technical quality of this picture is",
    "aesthetics": "The beauty of this picture is",
}
"""What stands before the level word."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


@dataclass(frozen=True)
class Reading:
    """What was read in one completion: a score, or why there is none."""

    score: float | None
    """0 to 100; None where `failure` says why."""
    think: str
    """Content of the think block, stripped; empty without a whole one."""
    n_words: int
    """Whitespace-separated words outside the answer block, tags not counted.

    For a completion of the declared form these are the words of the think block. Words beside it count too, or length
    rewards could be dodged by reasoning outside the tags.
    """
    failure: Reason | None = None


def read(text: str, *, cut: bool = False, require_reasons: bool = False) -> Reading:
    """Read a completion strictly; `cut` says that it ended at the token limit, which is a failure whatever it holds.

    `require_reasons` makes a score without a word in a think block a failure too.

    >>> read("<think>Sharp and clean.</think><answer>73.42</answer>")
    Reading(score=73.42, think='Sharp and clean.', n_words=3, failure=None)
    >>> read("<answer>7/10</answer>").failure
    'not_a_number'
    >>> read("<answer>73.42</answer>", require_reasons=True).failure
    'no_think'
    """
    think = _between(text, THINK, END_THINK)
    outcome: float | Reason = "truncated" if cut else _score(text)
    outside = re.sub(f"{ANSWER}.*?({END_ANSWER}|$)", " ", text, flags=re.DOTALL)
    n_words = len(re.sub("|".join(TAGS), " ", outside).split())
    if require_reasons and not think and isinstance(outcome, float):
        outcome = "no_think"
    if isinstance(outcome, float):
        return Reading(outcome, think or "", n_words)
    return Reading(None, think or "", n_words, outcome)


def write(score: float, think: str | None) -> str:
    """A completion in the declared form, the score with two decimals; `read` gives both back.

    `think` None writes no think block. Raises `ValueError` for a score outside 0 to 100 or a think text with tags.

    >>> write(73.4249, None)
    '<answer>73.42</answer>'
    """
    if not SCALE.low <= score <= SCALE.high:
        raise ValueError(f"score = {score!r} is outside {SCALE.low:g} to {SCALE.high:g}")
    return f"{prefix(think)}{score:.2f}{END_ANSWER}"


def prefix(think: str | None) -> str:
    """A completion up to its opened answer tag: what is given to a model that only has to name the number."""
    if think is None:
        return ANSWER
    if any(tag in think for tag in TAGS):
        raise ValueError(f"the think text holds one of {' '.join(TAGS)}: {think!r}")
    return f"{THINK}{think.strip()}{END_THINK}\n{ANSWER}"


def write_level(level: str, task: Task) -> str:
    """The answer to the question for a level.

    >>> write_level("good", "quality")
    'The technical quality of this picture is good.'
    """
    return f"{LEVEL_PREFIX[task]} {level}."


def target(score: float, declared: ScoreRange) -> float:
    """A native score of a data set on the scale of answers (section 3). Raises `ValueError` outside its range.

    >>> target(3.0, ScoreRange(1, 5)), target(72, ScoreRange(0, 100, higher_is_better=False))
    (50.0, 28.0)
    """
    if not declared.low <= score <= declared.high:
        raise ValueError(f"score = {score!r} is outside the declared {declared.low:g} to {declared.high:g}")
    return round(SCALE.from_unit(declared.to_unit(score)), 9)


def _score(text: str) -> float | Reason:
    n_answers, n_ends = text.count(ANSWER), text.count(END_ANSWER)
    n_thinks = text.count(THINK)
    if n_thinks > 1 or n_thinks != text.count(END_THINK):
        return "bad_think"
    if n_answers > 1 or n_ends > 1:
        return "many_answers"
    if not n_answers:
        return "no_answer"
    if not n_ends:
        return "truncated"
    content = _between(text, ANSWER, END_ANSWER)
    if content is None:
        return "no_answer"
    if n_thinks and not text.index(THINK) < text.index(END_THINK) < text.index(ANSWER):
        return "bad_think"
    if not _NUMBER.fullmatch(content):
        return "not_a_number"
    value = float(content)
    return abs(value) if SCALE.low <= value <= SCALE.high else "out_of_range"  # abs: -0 is 0


def _between(text: str, start: str, end: str) -> str | None:
    """The stripped text between two tags, the first of each; None where they aren't there in this order."""
    _, opened, rest = text.partition(start)
    content, closed, _ = rest.partition(end)
    return content.strip() if opened and closed else None
