"""One picture's answer: two scores, their level probabilities, or the reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from beholder.imaging.status import Status
from beholder.task import LEVELS, Task


@dataclass(frozen=True)
class Score:
    """How one picture looks to people. Scores run from 0 to 100, higher is better; None where nothing was scored."""

    quality: float | None = None
    """Technical quality: sharpness, noise, exposure, compression."""
    aesthetics: float | None = None
    """How beautiful people find it."""
    quality_levels: tuple[float, ...] | None = None
    """Probability of bad, poor, fair, good, perfect; sums to 1."""
    aesthetics_levels: tuple[float, ...] | None = None
    """Probability of bad, poor, fair, good, perfect; sums to 1."""
    quality_reason: str | None = None
    """Why, in the model's words; None where it was not asked, or gives none."""
    aesthetics_reason: str | None = None
    """Why, in the model's words; None where it was not asked, or gives none."""
    path: str | None = None
    """Where the picture came from; None for one given as pixels."""
    width: int | None = None
    """Pixels of the picture as it is looked at, EXIF rotation applied."""
    height: int | None = None
    """Pixels of the picture as it is looked at, EXIF rotation applied."""
    status: Status = "ok"
    """`ok`, or what went wrong."""
    error: str | None = None
    """The reason in words, where `status` is not `ok`."""
    note: str | None = None
    """What was done to a picture that is scored all the same, e.g. that only the first frame counts."""

    def of(self, task: Task) -> float | None:
        """The score of one task by name."""
        return self.quality if task == "quality" else self.aesthetics

    def __str__(self) -> str:
        if self.status != "ok":
            return f"{self.path or 'picture'}: {self.status} ({self.error})"
        parts = [f"{name} {value:.1f}" for name, value in self._scores()]
        return f"{self.path or 'picture'}: " + ", ".join(parts)

    def _repr_html_(self) -> str:
        """A small table with a bar per level, for notebooks."""
        title = escape(self.path or "picture")
        if self.status != "ok":
            return f"<b>{title}</b>: {escape(self.status)} ({escape(self.error or '')})"
        rows = []
        for name, value in self._scores():
            levels = self.quality_levels if name == "quality" else self.aesthetics_levels
            bars = "".join(
                f'<td title="{word} {p:.0%}" style="vertical-align:bottom;padding:0 1px">'
                f'<div style="width:14px;height:{round(24 * p)}px;background:#4a7"></div></td>'
                for word, p in zip(LEVELS, levels or (), strict=False)
            )
            reason = self.quality_reason if name == "quality" else self.aesthetics_reason
            words = f"<td>{escape(reason)}</td>" if reason else ""
            rows.append(f"<tr><td>{name}</td><td><b>{value:.1f}</b> / 100</td>{bars}{words}</tr>")
        return f"<div>{title}</div><table>{''.join(rows)}</table>"

    def _scores(self) -> list[tuple[str, float]]:
        pairs = (("quality", self.quality), ("aesthetics", self.aesthetics))
        return [(name, value) for name, value in pairs if value is not None]
