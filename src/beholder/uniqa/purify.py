"""Which human comments are worth learning from (UniQA, section 3 of our spec).

Two ranks are added: how close a comment is to the generated text of its picture (aesthetics relevance, AR), and how
long it is (informativeness, IR). The comments with the smallest sums are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from beholder.language.rows import Row

KEEP = 4
"""Comments kept per picture where nothing else is asked for."""

MIN_WORDS = 3
"""A shorter comment says nothing and is dropped before ranking."""

Reason = Literal["empty", "duplicate", "short", "rank", "no_reference"]
"""Why a comment is dropped. `rank`: others of its picture are better. `no_reference`: its picture has no generated
text to compare with."""

Closeness = Callable[[Sequence[str], Sequence[str]], ArrayLike]
"""(comments, references) -> (n,) similarity of each comment to its closest reference."""


@dataclass(frozen=True)
class Judged:
    """One comment and what became of it."""

    text: str
    """Stripped."""
    reason: Reason | None = None
    """Why it was dropped; None where it was kept."""
    similarity: float | None = None
    ar: float | None = None
    """Rank by similarity, 1 is closest, mean rank for ties; None if it was not ranked."""
    ir: float | None = None
    """Rank by length, 1 is longest, mean rank for ties."""


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """(n,) ranks of (n,) values, the largest is 1; equal values share their mean rank."""
    from scipy.stats import rankdata  # not in the core, which imports KEEP from here

    return np.asarray(rankdata(-np.asarray(values, np.float64), method="average"), np.float64)


def best(ar: ArrayLike, ir: ArrayLike, k: int = KEEP) -> list[int]:
    """Indices of the `k` smallest sums of two (n,) ranks, best first; ties: smaller AR, then original order."""
    first, second = np.asarray(ar, np.float64), np.asarray(ir, np.float64)
    order = np.lexsort((np.arange(len(first)), first, first + second))
    return [int(i) for i in order[:k]]


def n_words(comment: str) -> int:
    """Number of whitespace-separated words."""
    return len(comment.split())


def judge(
    comments: Sequence[str],
    references: Sequence[str],
    closeness: Closeness,
    *,
    k: int = KEEP,
    ir_only: bool = False,
) -> list[Judged]:
    """What becomes of each comment of one picture, in their order; at most `k` are kept, all if there are no more.

    Without `references` every comment is dropped with `no_reference`, or, with `ir_only`, ranked by length alone.
    """
    judged: list[Judged] = []
    seen: set[str] = set()
    for text in (comment.strip() for comment in comments):
        reason: Reason | None = None
        if not text:
            reason = "empty"
        elif text in seen:
            reason = "duplicate"
        elif n_words(text) < MIN_WORDS:
            reason = "short"
        elif not references and not ir_only:
            reason = "no_reference"
        seen.add(text)
        judged.append(Judged(text, reason))
    ranked = [i for i, one in enumerate(judged) if one.reason is None]
    if not ranked:
        return judged
    texts = [judged[i].text for i in ranked]
    ir = ranks([n_words(text) for text in texts])
    similarity = np.asarray(closeness(texts, references), np.float64) if references else None
    ar = np.zeros(len(texts)) if similarity is None else ranks(similarity)
    kept = set(best(ar, ir, k))
    for place, i in enumerate(ranked):
        judged[i] = Judged(
            texts[place],
            None if place in kept else "rank",
            None if similarity is None else float(similarity[place]),
            None if similarity is None else float(ar[place]),
            float(ir[place]),
        )
    return judged


def row_of(image_id: str, path: str | None, level: str | None, judged: Sequence[Judged]) -> Row:
    """The row of one picture, in the layout of captions, with what was dropped and why beside it."""
    kept = [one.text for one in judged if one.reason is None]
    status = "ok" if kept else "no_reference" if any(one.reason == "no_reference" for one in judged) else "no_comments"
    errors = {
        "no_reference": "no generated text of this picture to compare its comments with",
        "no_comments": f"no comment of at least {MIN_WORDS} words",
    }
    return {
        "image_id": image_id,
        "path": path,
        "task": "aesthetics",
        "level": level,
        "captioner": "people",
        "captions": kept,
        "status": status,
        "error": errors.get(status),
        "dropped": [asdict(one) for one in judged if one.reason is not None],
    }


@dataclass(frozen=True)
class Report:
    """What a purification did."""

    n_comments: int
    n_kept: int
    dropped: Mapping[Reason, int]
    """Comments per reason; only those that occur."""
    pictures: Mapping[str, int]
    """Pictures per status."""


def report(rows: Sequence[Row]) -> Report:
    """Counts over all rows."""
    dropped = Counter(one["reason"] for row in rows for one in row["dropped"])
    n_kept = sum(len(row["captions"]) for row in rows)
    return Report(n_kept + dropped.total(), n_kept, dict(dropped), Counter(row["status"] for row in rows))
