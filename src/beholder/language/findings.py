"""From measured cues to what a person would say of them: graded findings in plain words, and known damage by name.

The thresholds hold for `cues.VIEW`. They were set by eye on quantiles of photographs, and lie where the words begin to
be true; no score was used, so that a word's agreement with human scores can be measured.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from beholder.language.cues import Cues
from beholder.task import Task


@dataclass(frozen=True)
class Finding:
    """One thing that is true of a picture."""

    aspect: str
    """What it is about, e.g. `sharpness`."""
    weight: int
    """-2 a serious fault, -1 a fault, 0 neither, 1 a strength, 2 a great strength."""
    phrases: tuple[str, ...]
    """Ways to say it, each a noun phrase without capital or full stop that can follow `with`."""


Step = tuple[int, tuple[str, ...]] | None
"""Weight and phrases of one grade; None where nothing is worth saying."""


@dataclass(frozen=True)
class Aspect:
    """How one cue becomes a finding: `edges` cut its values into `len(edges) + 1` left-closed steps."""

    name: str
    tasks: tuple[Task, ...]
    value: Callable[[Cues], float]
    edges: tuple[float, ...]
    steps: tuple[Step, ...]

    def grade(self, cues: Cues) -> int:
        """Index of the step that the picture falls in."""
        return bisect_right(self.edges, self.value(cues))


ASPECTS = (
    Aspect("sharpness", ("quality",), lambda c: c.sharpness, (-2.9, -2.4, -1.7, -1.3), (
        (-2, ("heavy blur that swallows fine detail", "no sharp edge anywhere", "a severe loss of detail")),
        (-1, ("soft edges without fine detail", "a slight blur", "a soft focus")),
        (0, ("acceptable sharpness", "reasonably clear detail")),
        (1, ("sharp detail", "clearly drawn edges", "accurate focus")),
        (2, ("crisp fine detail", "very sharp edges", "excellent sharpness")),
    )),
    Aspect("noise", ("quality",), lambda c: c.noise, (0.004, 0.012, 0.03, 0.06), (
        (0, ("clean, noise-free areas", "no visible noise", "smooth clean tones")),
        (0, ("hardly any noise", "very little grain")),
        (0, ("a trace of grain", "fine grain or texture")),
        (-1, ("visible noise", "noticeable grain")),
        (-2, ("heavy noise all over", "strong grain that covers detail")),
    )),
    Aspect("exposure", ("quality",), lambda c: c.brightness, (0.13, 0.26, 0.68, 0.82), (
        (-2, ("severe underexposure", "a frame that is far too dark")),
        (-1, ("a rather dark exposure", "dim light")),
        (1, ("balanced exposure", "well-judged brightness", "even exposure")),
        (-1, ("a rather bright exposure", "pale, bright light")),
        (-2, ("severe overexposure", "washed-out light")),
    )),
    Aspect("highlights", ("quality",), lambda c: c.blown, (0.1, 0.3), (
        None,
        (-1, ("burnt-out highlights", "highlights without detail")),
        (-2, ("large areas burnt out to white",)),
    )),
    Aspect("shadows", ("quality",), lambda c: c.crushed, (0.15, 0.4), (
        None,
        (-1, ("blocked shadows", "shadows without detail")),
        (-2, ("large areas sunk into black",)),
    )),
    Aspect("contrast", ("quality", "aesthetics"), lambda c: c.contrast, (0.25, 0.45, 0.85), (
        (-2, ("very flat contrast", "a grey, hazy look")),
        (-1, ("low contrast", "a narrow range of tones")),
        (1, ("rich contrast", "a full range of tones")),
        (0, ("strong contrast", "hard contrast of light and shade")),
    )),
    Aspect("compression", ("quality",), lambda c: c.blocking, (1.6, 2.0), (
        None,
        (-1, ("visible compression blocks", "traces of JPEG compression")),
        (-2, ("coarse compression blocks",)),
    )),
    Aspect("colour", ("quality",), lambda c: c.saturation, (0.06, 0.18, 0.55, 0.75), (
        (0, ("next to no colour", "nearly grey tones")),
        (0, ("muted colours", "restrained colour")),
        (1, ("natural colours", "believable colour")),
        (1, ("rich colours", "well-saturated colour")),
        (-1, ("oversaturated colours", "very intense colour")),
    )),
    Aspect("white balance", ("quality",), lambda c: c.warmth, (-0.15, 0.25), (
        (-1, ("a blue colour cast", "a cold white balance")),
        None,
        (-1, ("a strong yellow cast", "an overly warm white balance")),
    )),
    Aspect("palette", ("aesthetics",), lambda c: c.colourfulness, (0.03, 0.09, 0.22, 0.35), (
        (0, ("a nearly monochrome palette", "tones of grey alone")),
        (0, ("a quiet, muted palette", "restrained colours")),
        (1, ("a natural palette", "pleasant colours")),
        (1, ("a colourful palette", "lively colours")),
        (0, ("very loud colours", "an intense play of colours")),
    )),
    Aspect("tone", ("aesthetics",), lambda c: c.warmth, (-0.08, 0.15), (
        (0, ("cool tones", "a cool, calm mood")),
        None,
        (0, ("warm tones", "a warm mood")),
    )),
    Aspect("mood", ("aesthetics",), lambda c: c.brightness, (0.22, 0.36, 0.62), (
        (0, ("a dark, heavy mood", "low light over most of the frame")),
        (0, ("subdued light", "a quiet, dusky light")),
        (1, ("soft, even light", "pleasing light")),
        (1, ("bright, airy light", "a light and open mood")),
    )),
    Aspect("light", ("aesthetics",), lambda c: c.middle_light, (-0.15, 0.1), (
        (0, ("a dark middle against lighter surroundings",)),
        None,
        (1, ("light that falls on the middle", "a bright middle that draws the eye")),
    )),
    Aspect("subject", ("aesthetics",), lambda c: c.middle_detail, (-0.05, 0.15), (
        (-1, ("detail scattered towards the rim", "a middle with little to hold the eye")),
        None,
        (1, ("detail gathered in the middle", "a clear centre of interest")),
    )),
    Aspect("space", ("aesthetics",), lambda c: c.emptiness, (0.03, 0.4, 0.75), (
        (0, ("a busy frame full of detail",)),
        None,
        (1, ("generous empty space", "calm areas around the detail")),
        (0, ("a very empty frame",)),
    )),
    Aspect("symmetry", ("aesthetics",), lambda c: c.symmetry, (0.75,), (
        None,
        (1, ("a nearly symmetrical arrangement", "a left side that mirrors the right")),
    )),
    Aspect("balance", ("aesthetics",), lambda c: c.balance, (-0.14, 0.14), (
        (0, ("visual weight on the left",)),
        (1, ("a balanced composition", "evenly spread visual weight")),
        (0, ("visual weight on the right",)),
    )),
)  # fmt: skip

DAMAGE = {
    "blur": "blur",
    "lens_blur": "defocus",
    "motion_blur": "motion blur",
    "noise": "sensor noise",
    "night_noise": "night-time noise",
    "impulse_noise": "dead and hot pixels",
    "jpeg": "JPEG compression",
    "darken": "underexposure",
    "overexpose": "overexposure",
    "banding": "tonal banding",
    "downscale": "lost resolution",
    "low_contrast": "haze and low contrast",
    "desaturate": "faded colours",
    "colour_cast": "a wrong white balance",
    "oversharpen": "oversharpening halos",
    "smear": "smeared detail from denoising",
}
"""Families of `beholder.data.distortions`, in words that can follow `degraded by`."""

SEVERITY = ("slightly", "mildly", "clearly", "strongly", "severely")
"""Adverbs for damage of level 1 to 5."""


def findings(cues: Cues, task: Task) -> list[Finding]:
    """What is worth saying about a picture for `task`, in the order of `ASPECTS`; never empty."""
    found = []
    for aspect in ASPECTS:
        step = aspect.steps[aspect.grade(cues)]
        if task in aspect.tasks and step is not None:
            found.append(Finding(aspect.name, *step))
    return found


def damage(family: object, level: object) -> str | None:
    """Known damage in words, e.g. `strongly degraded by motion blur`; None where none is known or we lack its name.

    `family` is a name of `beholder.data.distortions.FAMILIES`, `level` 0 (untouched) to 5, or None if unknown.
    """
    if not isinstance(family, str) or family not in DAMAGE:
        return None
    if not isinstance(level, int | float):
        return f"degraded by {DAMAGE[family]}"
    if not 0 < level <= 5:
        return None
    return f"{SEVERITY[max(0, round(level) - 1)]} degraded by {DAMAGE[family]}"


def enumerate_in_words(phrases: Iterable[str]) -> str:
    """Join noun phrases as people do.

    >>> enumerate_in_words(["sharp detail", "rich contrast", "no visible noise"])
    'sharp detail, good contrast and no visible noise'
    """
    *first, last = phrases
    return f"{', '.join(first)} and {last}" if first else last
