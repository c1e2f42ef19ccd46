"""What two parts of a set have in common that they must not: files, scenes, groups."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa

from beholder.data.columns import SPLITS
from beholder.data.manifest import Manifest
from beholder.data.scenes import SAME_SCENE, Thumbnails, find_scenes, thumbnails
from beholder.data.split import SHARES, Shares, split_groups

Kind = Literal["same file", "same scene", "same group"]


@dataclass(frozen=True)
class Twin:
    """Two rows that belong together, and so into one split."""

    first: int
    second: int
    """Row indices, `first` < `second`."""
    kind: Kind
    agreement: float
    """1 for the same file or group; see `scenes.Pair` for the same scene."""


@dataclass(frozen=True)
class LeakReport:
    """Everything that belongs together, and what of it lies on two sides."""

    twins: tuple[Twin, ...]
    """Same file or same scene, anywhere in the set."""
    leaks: tuple[Twin, ...]
    """Twins on two sides of the split, and one pair per group that is."""
    unreadable: dict[str, str]
    """Path as in the manifest to reason; these pictures were not compared."""


def find_leaks(manifest: Manifest, threshold: float = SAME_SCENE, workers: int = 2) -> LeakReport:
    """Compare all pictures of a manifest. About 4 ms a picture of 512 x 512 on one core, half of it decoding.

    An unreadable picture is in the report, not an error. `threshold` as in `scenes.find_scenes`.
    """
    paths = manifest.paths()
    small, failed = thumbnails(paths, workers)
    twins = find_twins(paths, small, failed, threshold)
    splits, names = manifest.column("split"), manifest.column("path")
    leaks = [twin for twin in twins if splits[twin.first] != splits[twin.second]]
    leaks += _split_groups_of(manifest.groups(), splits)
    return LeakReport(tuple(twins), tuple(leaks), {names[row]: reason for row, reason in failed.items()})


def find_twins(
    paths: Sequence[Path | None], small_NHWC: Thumbnails, failed: Mapping[int, str], threshold: float = SAME_SCENE
) -> list[Twin]:
    """Same files, and shots of one scene that are not, among the pictures whose row is not in `failed`.

    `small_NHWC` and `failed` as `scenes.thumbnails` gives them. A picture without a path is no file of a disk, so only
    its look is compared.
    """
    twins = _same_files([path if row not in failed else None for row, path in enumerate(paths)])
    known = {(twin.first, twin.second) for twin in twins}
    for pair in find_scenes(small_NHWC, threshold):
        if (pair.first, pair.second) not in known and not {pair.first, pair.second} & failed.keys():
            twins.append(Twin(pair.first, pair.second, "same scene", pair.agreement))
    return twins


def fix_leaks(
    manifest: Manifest,
    report: LeakReport,
    *,
    salt: str,
    shares: Shares = SHARES,
    stratify: str | None = None,
) -> Manifest:
    """A manifest in which no file, scene or group is on two sides.

    Twins and groups become clusters, written to `group`, and whole clusters are split anew by `split_groups`.
    An official split is not redrawn, since results on it are compared: what shares a cluster with a later part
    (test after val after train) is left out of the earlier one.
    """
    clusters = cluster(manifest.groups(), report.twins)
    if manifest.split_by == "official":
        splits = manifest.column("split")
        last: dict[str, int] = defaultdict(int)
        for name, split in zip(clusters, splits, strict=True):
            last[name] = max(last[name], SPLITS.index(split))
        keep = [SPLITS.index(split) == last[name] for name, split in zip(clusters, splits, strict=True)]
        return replace(manifest, table=manifest.table.filter(pa.array(keep)))
    strata = manifest.column(stratify) if stratify else None
    splits = split_groups(clusters, salt=salt, shares=shares, strata=strata)
    split_by = "scene" if manifest.split_by == "row" else manifest.split_by
    return replace(manifest.with_columns({"split": splits, "group": clusters}), split_by=split_by)


def cluster(groups: Sequence[str], twins: Iterable[Twin]) -> list[str]:
    """Group name of each row after groups that share twins became one, named after the first of them."""
    parent = {name: name for name in groups}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for twin in twins:
        low, high = sorted((root(groups[twin.first]), root(groups[twin.second])))
        parent[high] = low
    return [root(name) for name in groups]


def _same_files(paths: Sequence[Path | None]) -> list[Twin]:
    by_size: defaultdict[int, list[int]] = defaultdict(list)
    for row, path in enumerate(paths):
        if path is not None:
            by_size[path.stat().st_size].append(row)
    first: dict[str, int] = {}
    found = []
    for rows in by_size.values():
        for row in rows if len(rows) > 1 else ():  # a size of its own needs no hash
            with Path(str(paths[row])).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if first.setdefault(digest, row) != row:
                found.append(Twin(first[digest], row, "same file", 1.0))
    return found


def _split_groups_of(groups: Sequence[str], splits: Sequence[str]) -> list[Twin]:
    first: dict[str, int] = {}
    found: dict[str, Twin] = {}
    for row, group in enumerate(groups):
        other = first.setdefault(group, row)
        if splits[other] != splits[row]:
            found.setdefault(group, Twin(other, row, "same group", 1.0))
    return list(found.values())
