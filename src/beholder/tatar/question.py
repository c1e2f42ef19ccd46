"""What a model is asked that writes nothing: the chat in two parts, and the tokens whose probabilities are the answer.

Both tasks are asked about one picture, and its place comes before the question: so the first part is the same for both,
and goes through the model once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from beholder.task import Task
from beholder.tatar.answer import LEVEL_PREFIX, prefix
from beholder.tatar.prompts import PROMPTS


@dataclass(frozen=True)
class Question:
    """A chat up to where the model goes on, and what is asked of its next tokens."""

    head: str
    """Text up to the question, with one place for the picture; the whole text where it can't be cut there."""
    tail: str
    """The rest, up to where the model goes on; the same tokens whether it stands after `head` or alone."""
    beginnings: Sequence[tuple[int, ...]]
    """Tokens already written, first none at all."""
    ids: Sequence[int]
    """Tokens whose probability is wanted after each beginning."""


def question(
    processor: Any, task: Task, beginnings: Sequence[tuple[int, ...]], ids: Sequence[int], *, level: bool = False
) -> Question:
    """The question for a number, or for a level word, with the answer begun up to where only that is missing."""
    messages = PROMPTS.messages(task, level=level)
    chat: str = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    text = chat + (LEVEL_PREFIX[task] if level else prefix(None))
    head, found, rest = text.partition(messages[-1]["content"][-1]["text"])
    tail = found + rest
    if not _is_cut_there(processor.tokenizer, head, tail):
        head, tail = text, ""
    return Question(head, tail, beginnings, ids)


def _is_cut_there(tokenizer: Any, head: str, tail: str) -> bool:
    whole, first, second = (
        tokenizer(text, add_special_tokens=False)["input_ids"] for text in (head + tail, head, tail)
    )
    return bool(tail) and whole == first + second
