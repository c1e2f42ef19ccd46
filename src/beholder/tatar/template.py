"""The teacher without a model: rationales from what is measured and the level, which keep every hard rule (`rules`)."""

from __future__ import annotations

from random import Random

from beholder.language.ask import Question
from beholder.language.cues import Cues
from beholder.language.findings import Finding, damage, findings
from beholder.task import Task

_WHY = {
    True: "Technically this is a {level} picture, and what speaks for that verdict first is {first}, next to {second}.",
    False: "Technically this is a {level} picture, although one would not say so from {first} or from {second} alone.",
}
_CLOSE = {
    -1: "Looked at closely, the recording as a whole keeps less of the scene than a better one would.",
    0: "Looked at closely, the recording as a whole serves its purpose without being remarkable either way.",
    1: "Looked at closely, the recording as a whole keeps the scene clear and close to life.",
}
_SIDE = {"bad": -1, "poor": -1, "fair": 0, "good": 1, "perfect": 1}

_NARRATIVE = (
    "Among the visual elements {palette} and {contrast} meet the eye first.",
    "The composition is marked by {arrangement}, and the frame is read from there.",
    "{gestalt}",
    "On the technical side there is {sharpness}, together with {exposure}, which sets how much of it comes across.",
    "The theme is left to the subject itself, and it is the treatment, more than the motif, that is judged here.",
    "In emotion the light decides: {mood} is what a viewer takes away from it.",
    "{originality}",
    "Overall this is a {level} photograph, and the impression follows from these points taken together.",
)
_GESTALT = {
    -1: "Seen as a whole the parts do not come together, so that attention wanders and finds no lasting hold.",
    0: "Seen as a whole the parts stand beside each other, neither in conflict nor in a strong unity.",
    1: "Seen as a whole the parts support each other, so that attention stays and moves with ease.",
}
_ORIGINALITY = {
    -1: "In originality it offers little, since the treatment looks accidental more than chosen.",
    0: "In originality it stays close to convention, which neither harms it nor lifts it.",
    1: "In originality it gains from a treatment that looks chosen and is carried through.",
}


def write_rationale(question: Question, cues: Cues, number: int) -> str:
    """A rationale of the picture's task and level: the `Write` of `language.template.Template`.

    `question.known` holds `task` and `level`, and `distortion` and `distortion_level` where damage is known. Wording
    varies with the question's id and seed and with `number`; what is said depends on the picture.
    """
    rng = Random(f"{question.id}\0{question.seed}\0{number}")
    level = str(question.known["level"])
    side = _SIDE[level]
    if question.known["task"] == "quality":
        return _quality(question, cues, level, side, rng)
    said = {**_said(cues, "quality", rng), **_said(cues, "aesthetics", rng)}
    arrangement = next(said[name] for name in ("subject", "symmetry", "space", "balance") if name in said)
    text = " ".join(_NARRATIVE)
    return text.format(
        **{name: said[name] for name in ("palette", "contrast", "sharpness", "exposure", "mood")},
        arrangement=arrangement,
        gestalt=_GESTALT[side],
        originality=_ORIGINALITY[side],
        level=level,
    )


def _quality(question: Question, cues: Cues, level: str, side: int, rng: Random) -> str:
    """Two sentences: the level with the two findings that bear it out best, and what it comes to."""
    found = findings(cues, "quality")
    rng.shuffle(found)
    found.sort(key=lambda finding: -abs(finding.weight) if side else abs(finding.weight))
    agreeing = [f for f in found if side == 0 or f.weight * side > 0]
    hurt = damage(question.known.get("distortion"), question.known.get("distortion_level")) if side < 1 else None
    factors = [f"detail {hurt}"] if hurt else []
    factors += [rng.choice(f.phrases) for f in agreeing[: 2 - len(factors)]]
    bears_out = bool(factors)
    rest = [f for f in found if f not in agreeing]
    factors += [rng.choice(f.phrases) for f in rest[: 2 - len(factors)]] if not bears_out else []
    first, second = (*factors, "the absence of any other finding")[:2]
    return f"{_WHY[bears_out].format(level=level, first=first, second=second)} {_CLOSE[side]}"


def _said(cues: Cues, task: Task, rng: Random) -> dict[str, str]:
    def phrase(finding: Finding) -> str:
        return rng.choice(finding.phrases)

    return {finding.aspect: phrase(finding) for finding in findings(cues, task)}
