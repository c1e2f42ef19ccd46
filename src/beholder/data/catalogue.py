"""The public sets beholder can import: one row each, range and direction declared, nothing downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from beholder.data.columns import ManifestError, unknown
from beholder.data.labels import Facts, Label, build_manifest
from beholder.data.manifest import Manifest, SplitBy
from beholder.data.split import SHARES, Shares
from beholder.task import ScoreRange, Task


@dataclass(frozen=True)
class DataSet:
    """One public set: what its numbers mean, how it is split, which function reads its label files."""

    name: str
    tasks: tuple[Task, ...]
    """What its labels answer; the first is the default."""
    range: ScoreRange
    n_pictures: int
    split_by: SplitBy
    label_files: str
    """What the importer reads, relative to the folder the set was unpacked in."""
    licence: str
    """As the authors state it; read theirs before you use a set."""
    source: str
    load: str
    """Importer as text, `module:function`, so that listing the sets imports none."""
    stratify: str | None = None
    """Column whose values get the same shares in every part."""


_QUALITY: tuple[Task, ...] = ("quality",)
_AESTHETICS: tuple[Task, ...] = ("aesthetics",)
_HERE = "beholder.data.importers"
_NOT_STATED = "none stated; research use"

CATALOGUE: tuple[DataSet, ...] = (
    DataSet(
        name="biq2021-part",
        tasks=_QUALITY,
        range=ScoreRange(0, 1),
        n_pictures=2150,
        split_by="scene",
        label_files="labels.csv, images/",
        licence="none stated by the source ('freely available'); research use",
        source="part of BIQ2021's training part: Ahmed and Asif, J. Electron. Imaging 31(5), 2022",
        load=f"{_HERE}.research:biq2021_part",
        stratify="subset",
    ),
    DataSet(
        name="oasis-part",
        tasks=_AESTHETICS,
        range=ScoreRange(1, 7),
        n_pictures=381,
        split_by="theme",
        label_files="labels.csv, images/",
        licence="open access for research",
        source="part of OASIS (Kurdi et al., 2017) with the beauty ratings of Brielmann and Pelli (2019)",
        load=f"{_HERE}.research:oasis_part",
        stratify="category",
    ),
)


def find_set(name: str) -> DataSet:
    """Row of the catalogue by name. Raises `ManifestError` naming the nearest."""
    for row in CATALOGUE:
        if row.name == name:
            return row
    raise ManifestError(unknown("data set", name, [row.name for row in CATALOGUE] + ["generic"], "catalogue"))


def import_set(
    name: str,
    root: Path,
    *,
    task: Task | None = None,
    shares: Shares = SHARES,
    seed: int = 0,
    allow_missing: bool = False,
) -> Manifest:
    """Manifest of the public set `name`, unpacked in `root`.

    Official parts are kept as they are; without them rows are split by hash of their group (`split.split_groups`).
    Raises `ManifestError` naming the label files looked for, and as `labels.build_manifest` does.
    """
    row = find_set(name)
    task = row.tasks[0] if task is None else task
    if task not in row.tasks:
        raise ManifestError(f"{name} has no labels for task {task!r}; it has {', '.join(row.tasks)}")
    module, function = row.load.split(":")
    labels = cast(list[Label], getattr(import_module(module), function)(root, task))
    facts = Facts(
        name=row.name, task=task, range=row.range, split_by=row.split_by, licence=row.licence, source=row.source
    )
    return build_manifest(
        labels, facts, root, shares=shares, stratify=row.stratify, seed=seed, allow_missing=allow_missing
    )
