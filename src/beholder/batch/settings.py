"""How pictures are scored, whatever becomes of the rows."""

from __future__ import annotations

from dataclasses import dataclass

from beholder.batch.summary import OnProgress
from beholder.errors import UserError
from beholder.scoring.card import Card
from beholder.task import Task

MAX_TIMEOUT_S = 86_400
"""A day. Longer waits than a month the operating system refuses."""


@dataclass(frozen=True)
class Settings:
    """Checked when it is made. Raises `UserError` for a number out of range."""

    card: Card
    tasks: tuple[Task, ...]
    max_pixels: int
    workers: int
    """Processes at most; no more are started than there are chunks."""
    batch_size: int
    """Pictures that a worker gets at once."""
    timeout_s: float
    on_progress: OnProgress

    def __post_init__(self) -> None:
        for name in ("workers", "batch_size", "max_pixels"):
            if (value := getattr(self, name)) < 1:
                raise UserError(f"--{name.replace('_', '-')} {value}: allowed are whole numbers from 1")
        if not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise UserError(f"--timeout {self.timeout_s:g}: allowed are seconds above 0, {MAX_TIMEOUT_S:,} at most")
