"""Texts about rated pictures (UniQA, section 2 of our spec): level word, prompts, the writer without a model, the jobs.

The level word comes from the human score and its declared range, and the text has to agree with it. So a picture may
be described with its score only where it is trained on: `caption_jobs` keeps test pictures out.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from beholder.data.columns import Split
from beholder.data.held_out import HeldOut
from beholder.data.manifest import Manifest
from beholder.language.ask import Answer, Question
from beholder.language.cues import Cues
from beholder.language.findings import Finding, damage, enumerate_in_words, findings
from beholder.language.run import Job, Shape
from beholder.task import ScoreRange, Task, level_of

SHAPE = Shape(id="image_id", texts="captions")

PROMPT_VERSION = "1"
"""Counts up whenever a prompt, or a template of the writer without a model, changes."""

MAX_WORDS = 60
"""So that a text fits the 77 tokens of CLIP."""

HELD_OUT = "held_out"
"""Status of a row whose picture is one of a test part."""

_LOOK_AT = {
    "quality": "Describe the technical quality of this picture only: sharpness, noise, exposure, colour balance and "
    "visible artefacts. Leave aside what it shows and whether it is beautiful.",
    "aesthetics": "Describe how this picture looks as a photograph: composition, light, harmony of its colours, and "
    "mood. Leave aside technical defects, unless they spoil the impression.",
}
_RATED = {
    "quality": "Many people rated its technical quality as {level}; take that as given, use the word, and explain it.",
    "aesthetics": "Many people rated its beauty as {level}; take that as given, use the word, and explain it.",
}
_FORM = (
    f"Write one short paragraph of at most {MAX_WORDS - 10} words in plain English. "
    "No numbers, no rating scale, no list, no introduction."
)

_OPENINGS = {
    "quality": (
        "A {level} image with {what}.",
        "This is a {level} image: {what}.",
        "The technical quality is {level}, with {what}.",
        "Technically a {level} image, with {what}.",
        "A {level} image in its technical quality; it shows {what}.",
    ),
    "aesthetics": (
        "A {level} image with {what}.",
        "A {level} photo to look at, with {what}.",
        "The aesthetics are {level}: {what}.",
        "As a photograph this is {level}, with {what}.",
        "A {level} image in its composition and light; it shows {what}.",
    ),
}
_PLAIN_OPENINGS = ("An image with {what}.", "The picture shows {what}.", "What stands out is {what}.")
_STILL_GOOD = ("Its weak point: {what}.", "Less fortunate: {what}.", "It also has {what}.")
_STILL_BAD = ("In its favour: {what}.", "It does have {what}.", "Its strong point: {what}.")
_BOTH_WAYS = ("Against it: {what}.", "On the other hand it has {what}.")


def level_word(score: float, declared: ScoreRange) -> str:
    """Level of a native score: five equal bins of the declared range, left-closed. Raises ValueError outside it.

    >>> level_word(3.2, ScoreRange(1, 5)), level_word(72, ScoreRange(0, 100, higher_is_better=False))
    ('fair', 'poor')
    """
    return level_of(declared.to_unit(score))


def prompt(task: Task, level: str | None) -> str:
    """What a model is asked about a picture; `level` None where there is no rating of this task."""
    rated = [] if level is None else [_RATED[task].format(level=level)]
    return " ".join([_LOOK_AT[task], *rated, _FORM])


def caption_jobs(
    manifest: Manifest,
    out: Path,
    *,
    task: Task | None = None,
    splits: Sequence[Split] = ("train",),
    captioner: str,
    held_out: HeldOut | None = None,
    n_captions: int = 1,
    seed: int = 0,
) -> list[Job]:
    """A job per picture of `splits`, in the manifest's order; `image_id` is the manifest's `path`.

    `task` other than the manifest's describes without a level, because the scores say nothing about it. A picture
    that is in `held_out` gets a row with status `held_out` and no text. The `path` of a row is relative to the folder
    of `out`, so that both can be moved together. Columns `distortion` (a name of `beholder.data.distortions.FAMILIES`)
    and `distortion_level` of the manifest are told to the writer without a model.
    """
    about = task or manifest.task
    families = manifest.column("distortion") if "distortion" in manifest.table.column_names else None
    severities = manifest.column("distortion_level") if "distortion_level" in manifest.table.column_names else None
    jobs = []
    for row, (name, path, score, split) in enumerate(
        zip(manifest.column("path"), manifest.paths(), manifest.scores(), manifest.column("split"), strict=True)
    ):
        if split not in splits:
            continue
        level = level_word(float(score), manifest.range) if about == manifest.task else None
        known = {
            "task": about,
            "level": level,
            "distortion": families[row] if families else None,
            "distortion_level": severities[row] if severities else None,
        }
        owner = held_out.owner(path) if held_out else None
        refused = None
        if owner is not None:
            reason = f"the same file is in the test part of {owner}; --allow-test would describe it with its score"
            refused = Answer(name, status=HELD_OUT, error=reason)
        columns = {
            "path": Path(os.path.relpath(path, out.parent)).as_posix(),
            "task": about,
            "level": level,
            "captioner": captioner,
            "prompt_version": PROMPT_VERSION,
        }
        jobs.append(Job(Question(name, prompt(about, level), path, n_captions, seed, known), columns, refused))
    return jobs


def write_caption(question: Question, cues: Cues, number: int) -> str:
    """An honest text of at most `MAX_WORDS` words from what is measured and known: the template back-end's `Write`.

    Says the level word, what speaks for it most, what speaks against it, and known damage. Wording varies with the
    question's id and seed and `number`; what is said depends on the picture alone, except that findings of equal
    weight change places.
    """
    task, level = question.known["task"], question.known["level"]
    rng = Random(f"{question.id}\0{question.seed}\0{number}")
    found = findings(cues, task)
    rng.shuffle(found)
    found.sort(key=lambda finding: -abs(finding.weight))
    side = {"bad": -1, "poor": -1, "good": 1, "perfect": 1}.get(level, 0)
    hurt = damage(question.known.get("distortion"), question.known.get("distortion_level"))
    leading = [f for f in found if f.weight * side > 0] if side else [f for f in found if f.weight > 0]
    against = [f for f in found if f.weight * side < 0] if side else [f for f in found if f.weight < 0]
    leading = [*leading, *(f for f in found if f.weight == 0)][: 2 if hurt else 3] or found[:1]
    opening = rng.choice(_PLAIN_OPENINGS if level is None else _OPENINGS[task])
    sentences = [opening.format(level=level, what=enumerate_in_words(_said(f, rng) for f in leading))]
    if hurt:
        sentences.append(f"It is {hurt}.")
    if against and against[0] not in leading:
        turn = {1: _STILL_GOOD, -1: _STILL_BAD, 0: _BOTH_WAYS}[side]
        sentences.append(rng.choice(turn).format(what=_said(against[0], rng)))
    return " ".join(sentences)


def _said(finding: Finding, rng: Random) -> str:
    return rng.choice(finding.phrases)
