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
    """(n,) what all modalities show but the odd one, or what people say who hear and see both."""
    shown: dict[str, NDArray[np.str_]]
    """Per modality (n,): what the item shows by itself."""
    odd: NDArray[np.str_]
    """(n,) the modality that shows something else, empty where all agree, and of two of which nobody could say."""

    @property
    def conflict(self) -> NDArray[np.bool_]:
        """(n,) whether modalities show different classes."""
        shown = np.stack(list(self.shown.values()))
        return np.asarray((shown != shown[0]).any(axis=0))


def read_collections(folder: Path, seed: int) -> dict[str, Collection]:
    """The collections voice, face and text in `folder`, in parts: speakers and faces by `seed`, text by its own split.

    Raises UserError for a folder without one of them, and for another number of faces.
    """
    voice, face = (read_arrays(folder / name) for name in ("voice_egemaps.npz", "face_hog.npz"))
    text = _read_text(folder / "text.csv")
    if len(face["label"]) != sum(_FACES):
        raise UserError(f"face_hog.npz has {len(face['label'])} faces; the parts are made for {sum(_FACES)}")
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
    shown = {m: EMOTIONS[np.where(odd == m, other, label)] for m in collections}
    return Constructed(_choose(collections, part, shown, rng), EMOTIONS[label], shown, odd)


def draw_people(
    collections: Mapping[str, Collection],
    part: str,
    n: int,
    conflict: float,
    people: NDArray[np.float64],
    rng: np.random.Generator,
) -> Constructed:
    """`n` samples of a voice and a face, every class as likely; a share `conflict` shows two different ones.

    The label is drawn from `people` (6, 6, 6): P(label | class of the voice, class of the face), in the order of
    EMOTIONS.
    """
    classes = len(EMOTIONS)
    voice = rng.integers(classes, size=n)
    face = np.where(rng.random(n) < conflict, (voice + rng.integers(1, classes, size=n)) % classes, voice)
    below = rng.random(n)[:, None] > people[voice, face].cumsum(axis=1)
    label = np.minimum(below.sum(axis=1), classes - 1)  # sums of probabilities may end a little below 1
    shown = {"voice": EMOTIONS[voice], "face": EMOTIONS[face]}
    return Constructed(_choose(collections, part, shown, rng), EMOTIONS[label], shown, np.full(n, ""))


def _choose(
    collections: Mapping[str, Collection],
    part: str,
    shown: Mapping[str, NDArray[np.str_]],
    rng: np.random.Generator,
) -> dict[str, NDArray[np.int64]]:
    """Per modality an item (n,) of the part that shows the class of `shown` (n,), each as likely."""
    rows = {}
    for m, shows in shown.items():
        collection = collections[m]
        rows[m] = np.empty(len(shows), dtype=np.int64)
        for name in EMOTIONS:
            pool = np.flatnonzero((collection.label == name) & (collection.part == part))
            rows[m][shows == name] = rng.choice(pool, int((shows == name).sum()))
    return rows


def _read_text(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}")
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
