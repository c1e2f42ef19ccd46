"""Which rows teach, which choose, which are reported: and proof that these share no file and no group."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beholder.data.manifest import Manifest
from beholder.data.split import split_groups
from beholder.errors import UserError

Rows = NDArray[np.int64]
"""Row indices of a manifest."""


def take(manifest: Manifest, rows: Rows) -> Manifest:
    """Some rows of a manifest, in the order given."""
    return replace(manifest, table=manifest.table.take(pa.array(rows)))


def official_rows(manifest: Manifest) -> tuple[Rows, Rows]:
    """Rows that may be learned from (train and, where there is one, val) and the test rows of the manifest's split."""
    is_test = np.array([split == "test" for split in manifest.column("split")])
    if is_test.all() or not is_test.any():
        missing = "nothing but test rows" if is_test.all() else "no test rows"
        raise UserError(f"{manifest.name} has {missing}; the official split needs both. Try split: random.")
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def random_rows(manifest: Manifest, test_share: float, repeat: int, seed: int) -> tuple[Rows, Rows]:
    """Training and test rows of one random split by group. The same numbers give the same split on any machine."""
    salt = f"{manifest.name}-{seed}-{repeat}"
    sides = np.array(split_groups(manifest.groups(), salt=salt, shares=(1 - test_share, 0.0, test_share)))
    if len(set(sides)) < 2:
        raise UserError(f"{manifest.name} has {len(set(manifest.groups()))} groups, too few to split them 80 to 20")
    return np.flatnonzero(sides != "test"), np.flatnonzero(sides == "test")


def hold_out(manifest: Manifest, share: float, seed: int) -> tuple[Rows, Rows]:
    """Rows of a training part that teach, and rows, of other groups, that choose the epoch; none where `share` is 0."""
    if share == 0:
        return np.arange(len(manifest)), np.arange(0)
    sides = np.array(split_groups(manifest.groups(), salt=f"hold-out-{seed}", shares=(1 - share, share, 0.0)))
    rest, held = np.flatnonzero(sides == "train"), np.flatnonzero(sides == "val")
    if len(held) < 2 or len(rest) < 2:
        raise UserError(
            f"{share:.0%} of the {len(manifest)} training rows of {manifest.name} is {len(held)}, too few to choose an "
            "epoch by; try hold_out: 0, which keeps the last one"
        )
    return rest, held


def draw_labels(n_rows: int, count: int, seed: int) -> Rows:
    """Exactly `count` of `n_rows` rows, ascending, without replacement. Raises UserError where there are fewer."""
    if not 1 <= count <= n_rows:
        raise UserError(f"{count} labels asked for; allowed are 1 to {n_rows}, the rows of the training part")
    return np.sort(np.random.default_rng((seed, count)).choice(n_rows, size=count, replace=False))


def refuse_shared(parts: Mapping[str, Manifest]) -> None:
    """Raises UserError if two parts hold the same group or the same file under any name.

    Groups are compared between parts of one data set; files, by size and then sha256, between all.
    """
    groups: dict[tuple[str, str], str] = {}
    for name, part in parts.items():
        for group in set(part.groups()):
            other = groups.setdefault((part.name, group), name)
            if other != name:
                raise UserError(
                    f"{name} and {other} share the group {group!r} of {part.name}; what is measured on one would be "
                    "learned from the other. Try `beholder data check --fix`."
                )
    paths = {name: part.paths() for name, part in parts.items()}
    if twin := shared_file(paths):
        (first, path), (second, same) = twin
        raise UserError(
            f"{first} and {second} share a picture: {path} is {same}, byte for byte. Try `beholder data check --fix`."
        )


def shared_file(parts: Mapping[str, Iterable[Path]]) -> tuple[tuple[str, Path], tuple[str, Path]] | None:
    """The first file that two parts hold, by content, whatever its name; None if there is none.

    Only files of one size are read. A missing file is left to whoever opens it.
    """
    by_size: defaultdict[int, list[tuple[str, Path]]] = defaultdict(list)
    for name, paths in parts.items():
        for path in paths:
            if path.is_file():
                by_size[path.stat().st_size].append((name, path))
    for files in by_size.values():
        if len({name for name, _ in files}) < 2:
            continue
        first: dict[str, tuple[str, Path]] = {}
        for name, path in files:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            other = first.setdefault(digest, (name, path))
            if other[0] != name:
                return other, (name, path)
    return None
