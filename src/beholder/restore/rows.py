"""What came of a run: one row per picture, and counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from beholder.imaging.status import STATUSES

ALL_STATUSES = (*STATUSES[:1], "skipped", *STATUSES[1:], "unwritable")
"""Those of `imaging.status`, and two more. `skipped`: the result is there. `unwritable`: it can't be written."""


@dataclass(frozen=True)
class Row:
    """One picture."""

    path: str
    out: Path | None
    """The result; None where there is none."""
    status: str
    """One of `ALL_STATUSES`."""
    error: str | None = None
    note: str | None = None
    """What was done that a person may want to know."""
    size_before: tuple[int, int] | None = None
    """Width and height in pixels, upright; only of what was enlarged in this run."""
    size: tuple[int, int] | None = None
    """Width and height of the result."""

    @property
    def failed(self) -> bool:
        """Whether there is no result."""
        return self.status not in ("ok", "skipped")


@dataclass(frozen=True, repr=False)
class Run:
    """What `upscale` gives back."""

    rows: tuple[Row, ...]
    """In the order of the inputs, one for each."""
    seconds: float
    device: str
    model: str

    @property
    def failures(self) -> tuple[Row, ...]:
        """Rows without a result."""
        return tuple(row for row in self.rows if row.failed)

    def __str__(self) -> str:
        counter = Counter(row.status for row in self.rows)
        counts = ", ".join(f"{counter[status]:,} {status}" for status in ALL_STATUSES if counter[status])
        noun = "picture" if len(self.rows) == 1 else "pictures"
        megapixels = sum(row.size[0] * row.size[1] for row in self.rows if row.size) / 1e6
        made = f"{megapixels:,.2f} megapixels in {self.seconds:,.1f} s" if megapixels else "nothing to enlarge"
        return f"{len(self.rows):,} {noun}: {counts} | {made} | {self.device} | {self.model}"

    def __repr__(self) -> str:
        return f"<beholder upscale: {self}>"
