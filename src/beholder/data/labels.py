"""From the label files of a set to a manifest: what every importer returns, and what is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beholder.data.columns import ManifestError, Split, make_table, unknown
from beholder.data.manifest import Manifest, SplitBy
from beholder.data.split import SHARES, Shares, split_groups
from beholder.task import ScoreRange, Task


@dataclass(frozen=True)
class Label:
    """One picture as a label file gives it."""

    path: str
    """Relative to the folder the set was unpacked in, with forward slashes."""
    score: float | str
    """In the set's own range; text is read as a number later, with `place` in the message if it is none."""
    place: str
    """File and line it was read from."""
    split: Split | None = None
    """Official part; None where the authors gave none."""
    score_std: float | str | None = None
    n_raters: int | str | None = None
    text: str | None = None
    group: str | None = None
    """Reference picture, theme or person."""
    extra: dict[str, str] = field(default_factory=dict)
    """Further columns, the same keys in every label of a set."""


@dataclass(frozen=True)
class Facts:
    """What a label file does not say."""

    name: str
    task: Task
    range: ScoreRange
    split_by: SplitBy
    licence: str
    source: str


def build_manifest(
    labels: Sequence[Label],
    facts: Facts,
    image_root: Path,
    *,
    shares: Shares = SHARES,
    stratify: str | None = None,
    seed: int = 0,
    allow_missing: bool = False,
) -> Manifest:
    """Check labels and give each row its split: the official one, or one by hash of its group (`split_groups`).

    Official parts without a validation part keep their test part; validation is drawn from train.
    Raises `LabelRangeError` for a score outside the declared range, and `ManifestError` for labels whose picture is
    not under `image_root`; with `allow_missing` those are left out instead.
    """
    labels = _with_pictures(labels, image_root, allow_missing)
    columns: dict[str, Sequence[object]] = {
        "path": [label.path for label in labels],
        "score": [label.score for label in labels],
        "split": _splits(labels, salt(facts.name, seed), shares, stratify),
    }
    for name in ("score_std", "n_raters", "text", "group"):
        values = [getattr(label, name) for label in labels]
        if any(value is not None for value in values):
            columns[name] = values
    for name in labels[0].extra:
        columns[name] = [label.extra[name] for label in labels]
    table = make_table(columns, facts.range, lambda row: labels[max(row, 0)].place)
    return Manifest(**vars(facts), image_root=image_root.resolve(), table=table)


def salt(name: str, seed: int) -> str:
    """Salt of a set's splits: another seed draws other parts."""
    return f"{name}:{seed}"


def _with_pictures(labels: Sequence[Label], image_root: Path, allow_missing: bool) -> Sequence[Label]:
    missing = [label for label in labels if not (image_root / label.path).is_file()]
    if missing and not allow_missing:
        raise ManifestError(
            f"{missing[0].place}: no picture at {image_root / missing[0].path}, nor for {len(missing) - 1:,} more of "
            f"{len(labels):,} labels. Give the folder the set was unpacked in, or leave these out with --allow-missing."
        )
    if len(missing) == len(labels):
        raise ManifestError(f"none of {len(labels):,} labels has a picture under {image_root}")
    gone = set(map(id, missing))
    return [label for label in labels if id(label) not in gone]


def _splits(labels: Sequence[Label], salted: str, shares: Shares, stratify: str | None) -> list[Split]:
    groups = [label.group or label.path for label in labels]
    official = [label.split for label in labels if label.split is not None]
    if not official:
        return split_groups(groups, salt=salted, shares=shares, strata=_strata(labels, stratify))
    if len(official) < len(labels):
        bare = next(label for label in labels if label.split is None)
        raise ManifestError(f"{bare.place}: no split, though {len(official):,} other rows have one")
    if "val" in official or "train" not in official:
        if shares != SHARES or stratify is not None:
            raise ManifestError(f"{labels[0].place}: the set has parts of its own; leave out --shares and --stratify")
        return official
    return _with_validation(official, groups, salted, shares, _strata(labels, stratify))


def _with_validation(
    official: Sequence[Split], groups: Sequence[str], salted: str, shares: Shares, strata: Sequence[str] | None
) -> list[Split]:
    """Train gives val its share: with train and test only, models would be chosen on test."""
    rows = [row for row, split in enumerate(official) if split == "train"]
    val = shares[1] / (shares[0] + shares[1]) if shares[0] + shares[1] > 0 else 0.0
    drawn = split_groups(
        [groups[row] for row in rows],
        salt=salted,
        shares=(1 - val, val, 0.0),
        strata=None if strata is None else [strata[row] for row in rows],
    )
    found = list(official)
    for row, split in zip(rows, drawn, strict=True):
        found[row] = split
    return found


def _strata(labels: Sequence[Label], column: str | None) -> list[str] | None:
    if column is None:
        return None
    if column not in labels[0].extra:
        raise ManifestError(unknown("column to stratify by", column, list(labels[0].extra), labels[0].place))
    return [label.extra[column] for label in labels]
