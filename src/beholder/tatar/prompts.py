"""What the model is asked, per task: one set of texts for SFT, GRPO, evaluation and scoring (section 2 of our spec).

A score depends on every letter, so a checkpoint keeps the digest of the set that it learned with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from beholder.task import LEVELS, TASKS, Task
from beholder.tatar.answer import ANSWER, END_ANSWER, END_THINK, THINK

Message = dict[str, Any]
"""`role` and `content`, a list of parts; the part `{"type": "image"}` is the picture's place."""


@dataclass(frozen=True)
class PromptSet:
    """A system text, and a user text per task; the question for a level word has no system text."""

    version: str
    """Counts up whenever a text changes."""
    system: str
    quality: str
    aesthetics: str
    quality_level: str
    aesthetics_level: str

    def messages(self, task: Task, *, level: bool = False) -> list[Message]:
        """The chat up to the model's turn, with one place for a picture, before the question; new at every call.

        `level` asks for a level word instead of a number.
        """
        number, word = (
            (self.quality, self.quality_level) if task == "quality" else (self.aesthetics, self.aesthetics_level)
        )
        question = {"type": "text", "text": word if level else number}
        asked = {"role": "user", "content": [{"type": "image"}, question]}
        system = {"role": "system", "content": [{"type": "text", "text": self.system}]}
        return [asked] if level else [system, asked]

    @cached_property
    def digest(self) -> str:
        """sha256 of the chats of all tasks, in hexadecimal."""
        chats = {f"{task} {level}": self.messages(task, level=level) for task in TASKS for level in (False, True)}
        return hashlib.sha256(json.dumps(chats, sort_keys=True).encode()).hexdigest()


PROMPTS = PromptSet(
    version="2",
    system=(
        f"You judge pictures. You may reason first, briefly or at length, inside {THINK} and {END_THINK}. Then give "
        f"your verdict, which is required: {ANSWER}, one number and nothing else, {END_ANSWER}."
    ),
    quality=(
        "Judge the technical quality of this picture as a whole, from 0 (worst) to 100 (best) with two decimals. "
        "A few words of reasoning are enough."
    ),
    aesthetics=(
        "Judge the beauty of this picture as a whole, from 0 (worst) to 100 (best) with two decimals. Consider its "
        "composition, light, harmony of colours, subject, balance, style and the emotion it carries."
    ),
    quality_level=f"How good is the technical quality of this picture as a whole? Say one of {', '.join(LEVELS)}.",
    aesthetics_level=f"How beautiful is this picture as a whole? Say one of {', '.join(LEVELS)}.",
)
"""The texts in use."""
