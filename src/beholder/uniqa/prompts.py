"""Level prompts: what a picture is compared with, five texts per group, worst to best (UniQA spec, section 5)."""

from __future__ import annotations

from collections.abc import Iterable

from beholder.errors import UserError
from beholder.task import Task

Group = tuple[str, str, str, str, str]
"""Five prompts, worst to best."""

# The first four are the published ensemble, word for word: scores of the published weights depend on every letter.
GROUPS: dict[str, Group] = {
    "quality": ("bad image", "poor image", "fair image", "good image", "perfect image"),
    "sharpness": ("extremely blurry image", "blurry image", "fair image", "sharp image", "extremely sharp image"),
    "noise": (
        "extremely noisy image",
        "noisy image",
        "fair image",
        "noise-free image",
        "extremely noise-free image",
    ),
    "grade": (
        "extremely low-quality image",
        "low-quality image",
        "fair image",
        "high-quality image",
        "extremely high-quality image",
    ),
    "content": ("bad content", "poor content", "fair content", "good content", "perfect content"),
    "aesthetics": ("ugly photo", "dull photo", "fair photo", "attractive photo", "beautiful photo"),
}

ENSEMBLE = ("quality", "sharpness", "noise", "grade")
"""The groups of UniQA* in the paper's tables; the score is the mean over groups."""

GENERATED = ("quality", "content")
"""The groups for pictures that were generated, not taken."""

DEFAULT_GROUPS: dict[Task, tuple[str, ...]] = {"quality": ("quality",), "aesthetics": ("quality",)}
"""Groups of a task where nothing else is asked for: those of the published adapters. `aesthetics` is our own group."""


def prompts_of(groups: Iterable[str]) -> list[Group]:
    """The prompts of each group. Raises UserError for no group, an unknown one, or the same one twice."""
    names = list(groups)
    allowed = ", ".join(GROUPS)
    if not names:
        raise UserError(f"no prompt group given; a task needs at least one of: {allowed}")
    for name in names:
        if name not in GROUPS:
            raise UserError(f"no prompt group {name!r}; allowed: {allowed}")
    if len(set(names)) < len(names):
        raise UserError(f"prompt groups {', '.join(names)}: one is named twice; each counts once")
    return [GROUPS[name] for name in names]
