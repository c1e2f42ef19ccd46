"""What SFT learns: a picture, its score, its rationale; what can be wrong with them is found before the first step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from beholder.data.held_out import HeldOut
from beholder.data.manifest import Manifest, read_manifest
from beholder.errors import UserError
from beholder.imaging.fit import Fit
from beholder.imaging.open import open_image
from beholder.imaging.status import ImageError
from beholder.task import Task, level_of
from beholder.tatar.answer import target, write, write_level
from beholder.tatar.config import DataConfig
from beholder.tatar.folder import LearnedFrom
from beholder.tatar.mixing import Form
from beholder.tatar.rationale import Rationale, read_rationales

_TOLERANCE = 1e-6
_GLANCE = Fit(area=128 * 128)
"""Reads a picture to its last byte, and decodes no more of a JPEG than it must."""


@dataclass(frozen=True)
class Example:
    """One rated picture."""

    path: Path
    task: Task
    target: float
    """0 to 100, higher is better."""
    think: str | None
    """None learns the score alone."""
    target_std: float | None = None
    """Standard deviation of what people gave it, on the scale of `target`; None where its set does not say."""

    def answer(self, form: Form = "reasons") -> str:
        """The completion to learn."""
        if form == "level":
            return write_level(level_of(self.target / 100), self.task)
        return write(self.target, self.think if form == "reasons" else None)


def read_examples(data: Iterable[DataConfig], held_out: Sequence[Path] = ()) -> tuple[list[Example], list[LearnedFrom]]:
    """The training pictures of all sets, in their order, and what they come from.

    Raises UserError for a score outside its declared range, a rationale without a score or for another scale, task or
    part than its manifest says, twice the same picture, and a picture that is in the test part of a set of `held_out`
    or of `data`.
    """
    sets = [(read_manifest(config.manifest), config.rationales) for config in data]
    tested = [manifest for manifest, _ in sets if "test" in manifest.column("split")]
    tests = HeldOut([*tested, *map(read_manifest, held_out)])
    examples: list[Example] = []
    sources = []
    for manifest, file in sets:
        found = rated(manifest.select("train")) if file is None else _explained(manifest, file)
        for example in found:
            if owner := tests.owner(example.path):
                raise UserError(f"{example.path} is a test picture of {owner}, so nothing may be learned from it")
        examples += found
        r = manifest.range
        sources.append(
            LearnedFrom(
                name=manifest.name, task=manifest.task, low=r.low, high=r.high, higher_is_better=r.higher_is_better,
                n=len(found), sha256=manifest.sha256,
            )
        )  # fmt: skip
    return examples, sources


def check_pictures(paths: Sequence[Path]) -> None:
    """Open every picture once. Raises UserError where one can't be read, naming the first and counting all."""
    bad: list[tuple[Path, ImageError]] = []
    for path in paths:
        try:
            open_image(path, fit=_GLANCE)
        except ImageError as error:
            bad.append((path, error))
    if bad:
        path, first = bad[0]
        raise UserError(
            f"{len(bad)} of {len(paths)} pictures can't be read, e.g. {path}: {first} ({first.status}). "
            "Get them again, or take their rows out of the manifest"
        )


def rated(manifest: Manifest) -> list[Example]:
    """Every row of a manifest, with its score alone."""
    width = manifest.range.high - manifest.range.low
    known = "score_std" in manifest.table.column_names
    stds = manifest.column("score_std") if known else [None] * len(manifest)
    return [
        Example(
            path, manifest.task, target(float(score), manifest.range), None, None if std is None else 100 * std / width
        )
        for path, score, std in zip(manifest.paths(), manifest.scores(), stds, strict=True)
    ]


def _explained(manifest: Manifest, file: Path) -> list[Example]:
    if not file.is_file():
        raise UserError(f"{file} is not a file; write rationales with `beholder data rationales`")
    try:
        rows = read_rationales(file)
    except (KeyError, IndexError, TypeError) as error:
        raise UserError(f"{file} has a row without {error}; make it again with `beholder data rationales`") from None
    known = dict(zip(manifest.column("path"), zip(manifest.column("split"), rated(manifest), strict=True), strict=True))
    seen: set[str] = set()
    examples = []
    for row in rows:
        if problem := _problem(row, manifest, known, seen):
            raise UserError(f"{file}: {row.image_id!r} {problem}")
        seen.add(row.image_id)
        examples.append(replace(known[row.image_id][1], think=row.text))
    if not examples:
        raise UserError(f"{file} has no row with status ok, so there is nothing to learn from it")
    return examples


def _problem(
    row: Rationale, manifest: Manifest, known: Mapping[str, tuple[str, Example]], seen: Collection[str]
) -> str | None:
    if row.task != manifest.task:
        return f"is about {row.task}, and {manifest.name} is rated for {manifest.task}"
    if row.image_id not in known:
        return f"is not in {manifest.name}; name the manifest that the rationales were made from"
    if row.image_id in seen:
        return "is there twice"
    split, expected = known[row.image_id][0], known[row.image_id][1].target
    if split != "train":
        return f"is in the {split} part of {manifest.name}; make rationales of the train part only"
    if not isinstance(row.target, int | float) or isinstance(row.target, bool):
        return f"has target {row.target!r}; needed is its score on 0 to 100, {expected:g}"
    if abs(row.target - expected) > _TOLERANCE:
        low, high = manifest.range.low, manifest.range.high
        return (
            f"has target {row.target:g}, and its score in {manifest.name} (range {low:g} to {high:g}) is {expected:g} "
            "on 0 to 100; labels of two scales or versions are mixed. Make the rationales again"
        )
    return None
