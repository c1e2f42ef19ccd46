"""What of beholder is installed: the core, and each extra with the packages that it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

EXTRAS = {
    "serve": "beholder serve",
    "restore": "beholder upscale",
    "evaluate": "beholder evaluate and compare",
    "data": "beholder data: spreadsheets, and pictures on two sides of a split",
    "train": "beholder train, convert and export",
    "language": "beholder data caption, purify and rationales",
    "tatar": "beholder train tatar-sft and tatar-grpo, scores with reasons",
    "emotion": "beholder emotion",
    "emotion-raw": "beholder emotion on sound, pictures and videos",
    "opensmile": "voices for tical-mini; not free for commercial use",
    "scale": "beholder score --ray, s3:// and other addresses",
}
"""What each extra is for, in the order in which people come to need them."""


@dataclass(frozen=True)
class Need:
    """A package that is asked for."""

    name: str
    wanted: str
    """Versions that do, as pip has them: `>=2.0`; empty where any does."""
    found: str | None
    """The version that is installed."""
    fits: bool
    """Whether one is, and is one of those."""

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.name} is not installed"
        return f"{self.name} {self.found}" + ("" if self.fits else f", needed is {self.wanted}")


def needs(extra: str = "", requirements: Sequence[str] | None = None) -> list[Need]:
    """Packages of the core, or of an extra with those of the extras that it names, each once.

    `requirements` are lines as in the metadata of a package; None takes beholder's. Raises PackageNotFoundError where
    beholder runs without being installed, which has no metadata.
    """
    lines = list(map(Requirement, requires("beholder") or [] if requirements is None else requirements))
    found: dict[str, Need] = {}
    waiting, seen = [extra], set()
    while waiting:
        current = waiting.pop()
        seen.add(current)
        for line in lines:
            if (line.marker is None) != (current == ""):
                continue
            if line.marker is not None and not line.marker.evaluate({"extra": current}):
                continue
            if line.name == "beholder":
                waiting += sorted(line.extras - seen)
            else:
                found.setdefault(line.name, _look(line))
    return sorted(found.values(), key=lambda need: need.name)


def _look(line: Requirement) -> Need:
    wanted = str(line.specifier)
    try:
        there = version(line.name)
    except PackageNotFoundError:
        return Need(line.name, wanted, None, fits=False)
    return Need(line.name, wanted, there, line.specifier.contains(there, prereleases=True))
