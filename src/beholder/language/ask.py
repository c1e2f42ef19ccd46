"""A question about a picture, its answer, and who answers: one protocol for endpoints, local models and no model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from beholder.errors import UserError

FAILURES = ("unavailable", "timeout", "refused", "malformed", "empty", "cut")
"""What can go wrong between us and a model, beside what can be wrong with the picture (`imaging.status`).

`unavailable`: no connection, too many requests or a server error, after all attempts. `timeout`: no answer in time.
`refused`: the model or its server will not answer this question; asking again is no use. `malformed`: an answer in
another format than the protocol's. `empty`: an answer without text. `cut`: a text that ended at the token limit, in
mid-sentence. A text is never kept from any of them.
"""


@dataclass(frozen=True)
class Question:
    """What is asked about one picture."""

    id: str
    """Unique in a run: what an answer is found again by."""
    prompt: str
    picture: Path | None = None
    """None asks about text alone."""
    n_texts: int = 1
    """Texts wanted, each drawn with a seed of its own."""
    seed: int = 0
    """Of the first text; the next ones count on from it."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """Facts that a writer without a model works from, e.g. the level word; models are told by the prompt only."""


@dataclass(frozen=True)
class Answer:
    """Texts, or why there are none."""

    id: str
    texts: tuple[str, ...] = ()
    """As many as were asked for, stripped, none empty; no text at all unless `status` is `ok`."""
    status: str = "ok"
    """`ok`, one of `FAILURES`, or a picture's status from `imaging.status`."""
    error: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How a model draws its text."""

    temperature: float = 0.2
    """0 takes the likeliest token always."""
    max_tokens: int = 120
    """A text that needs more is `cut`, and so a failed row."""
    top_p: float = 1.0
    """Share of the likelihood, from the likeliest token on, that is drawn from; 1 draws from all tokens."""


class Backend(Protocol):
    """Who answers. `ask` is called from several threads at once unless `concurrency` is 1."""

    name: str
    """Goes into every row, e.g. `endpoint:qwen2.5-vl-7b`."""
    batch: int
    """Questions that one call of `ask` takes at most."""
    concurrency: int
    """Calls of `ask` at a time."""

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """One answer per question, in order. A failed question is an Answer with a status, never an exception.

        Raises `HopelessError` where no further question could be answered either.
        """
        ...

    def stop(self) -> None:
        """Don't try anything again: what is in flight ends soon. Called when a run is stopped."""
        ...


class AskError(Exception):
    """One question failed; `status` is one of `FAILURES`."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class HopelessError(UserError):
    """The back-end can't answer anything: a wrong key, an unknown model, a server that stays away."""


def finished(text: str, *, cut: bool) -> str:
    """A text fit to be kept: stripped, not empty, not cut off. Raises `AskError` otherwise.

    What a reasoning model thinks aloud before its answer, up to `</think>`, is no part of it.
    """
    text = text.rpartition("</think>")[2].strip()
    if cut:
        raise AskError("cut", f"the text hit the token limit: ...{text[-60:]!r}. Try a higher --max-tokens")
    if not text:
        raise AskError("empty", "the model answered with no text")
    return text
