"""Constructed samples: a voice, a face and a text of three unrelated collections, paired by us.

Nobody ever said these words with this face. In return it is known what each modality shows, and which one disagrees.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.bundle import read_arrays

PARTS = ("train", "valid", "test")
EMOTIONS = np.array(list("ADFHNS"))

_SPEAKERS = (5, 1, 2)
_FACES = (8000, 1500, 2500)
_TEXT_PARTS = {"train": "train", "dev": "valid", "test": "test"}
_DRAWS = 1000


@dataclass(frozen=True)
class Collection:
    """Items of one modality."""

    items: NDArray[Any]
    """(n, d) features, or (n,) texts."""
    label: NDArray[np.str_]
    """(n,) what the item shows."""
    group: NDArray[Any]
    """(n,) such as the speaker."""
    part: NDArray[np.str_]
    """(n,) one of PARTS; a group is in one part only."""


@dataclass(frozen=True)
class Constructed:
    """Samples of a pairing."""

    rows: dict[str, NDArray[np.int64]]
    """Per modality (n,): which item of its collection."""
    label: NDArray[np.str_]
    """(n,) what all modalities show but the odd one."""
    shown: dict[str, NDArray[np.str_]]
    """Per modality (n,): what the item shows by itself."""
    odd: NDArray[np.str_]
    """(n,) the modality that shows something else, empty where all agree."""

    @property
    def conflict(self) -> NDArray[np.bool_]:
        """(n,)."""
        return np.asarray(self.odd != "")


def read_collections(folder: Path, seed: int) -> dict[str, Collection]:
    """The collections voice, face and text in `folder`, in parts: speakers and faces by `seed`, text by its own split.

    Raises UserError for a folder without one of them.
    """
    voice, face = (read_arrays(folder / name) for name in ("voice_egemaps.npz", "face_hog.npz"))
    text = _read_text(folder / "text.csv")
    rng = np.random.default_rng(seed)
    faces = np.empty(len(face["label"]), dtype="<U5")
    faces[rng.permutation(len(faces))] = np.repeat(PARTS, _FACES)
    return {
        "voice": Collection(
            voice["X"].astype(np.float64),
            voice["label"],
            voice["speaker"],
            draw_groups(voice["label"], voice["speaker"], _SPEAKERS, rng),
        ),
        "face": Collection(face["X"].astype(np.float64), face["label"], face["id"], faces),
        "text": Collection(
            np.array([row["text"] for row in text], dtype=object),
            np.array([row["label"] for row in text]),
            np.array([row["dialogue"] for row in text]),
            np.array([_TEXT_PARTS[row["split"]] for row in text]),
        ),
    }


def draw_groups(
    label: NDArray[np.str_], group: NDArray[Any], counts: tuple[int, int, int], rng: np.random.Generator
) -> NDArray[np.str_]:
    """The part (n,) of each item: `counts` groups to each, drawn until every part shows every class.

    Raises UserError where that never happens.
    """
    names = np.unique(group)
    for _ in range(_DRAWS):
        part = dict(zip(rng.permutation(names), np.repeat(PARTS, counts), strict=True))
        of_item = np.array([part[name] for name in group])
        if all(set(label[of_item == name]) == set(label) for name in PARTS):
            return of_item
    raise UserError(f"no draw of {counts} of {len(names)} groups has every class in every part")


def draw_samples(
    collections: Mapping[str, Collection], part: str, n: int, conflict: float, rng: np.random.Generator
) -> Constructed:
    """`n` samples of one part's items, every class as likely; a share `conflict` has one odd modality.

    The odd item is of another class, each as likely. Raises UserError for fewer than three modalities: of two that
    disagree nobody could say which is odd.
    """
    if len(collections) < 3:
        raise UserError(f"{len(collections)} modalities; a majority needs three or more")
    names = np.array(list(collections))
    classes = len(EMOTIONS)
    label = rng.integers(classes, size=n)
    odd = np.where(rng.random(n) < conflict, names[rng.integers(len(names), size=n)], "")
    other = (label + rng.integers(1, classes, size=n)) % classes
    rows, shown = {}, {}
    for m, collection in collections.items():
        shows = EMOTIONS[np.where(odd == m, other, label)]
        rows[m] = np.empty(n, dtype=np.int64)
        for name in EMOTIONS:
            pool = np.flatnonzero((collection.label == name) & (collection.part == part))
            rows[m][shows == name] = rng.choice(pool, int((shows == name).sum()))
        shown[m] = shows
    return Constructed(rows, EMOTIONS[label], shown, odd)


def _read_text(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}")
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
