"""MMSA's pickles (MOSI, MOSEI, CH-SIMS) as arrays, and once and for all as files that are no pickles.

One pickle holds `{train | valid | test: {text, audio, vision, id, regression_labels, ...}}`, as thuiar/MMSA and others
after it publish them. Shapes are read from the file; nothing is assumed of them.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.tical.unpickle import MAX_BYTES, unpickle

FEATURES, SAMPLES, ABOUT = "features.npz", "samples.csv", "about.json"
SPLITS = ("train", "valid", "test")
MODALITIES = ("text", "audio", "vision")

PUBLISHED = {
    "d3994fd25681f9c7ad6e9c6596a6fe9b4beb85ff7d478ba978b124139002e5f9": "MOSI, aligned_50",
    "78e0f8b5ef8ff71558e7307848fc1fa929ecb078203f565ab22b9daab2e02524": "MOSI, unaligned_50",
    "45eccfb748a87c80ecab9bfac29582e7b1466bf6605ff29d3b338a75120bf791": "MOSEI, aligned_50",
    "ad8b23d50557045e7d47959ce6c5b955d8d983f2979c7d9b7b9226f6dd6fec1f": "MOSEI, unaligned_50",
    "c9e20c13ec0454d98bb9c1e520e490c75146bfa2dfeeea78d84de047dbdd442f": "CH-SIMS, unaligned_39",
}
"""sha256 of the files that MMSA's authors published."""

_VIDEO_FROM_CLIP = "$_$"


@dataclass(frozen=True)
class Mmsa:
    """All parts of one pickle, one after the other."""

    x: dict[str, NDArray[np.float32]]
    """Per modality (n, t, d); finite."""
    lengths: dict[str, NDArray[np.int64]]
    """Per modality (n,) its steps, where the file says them."""
    columns: dict[str, NDArray[Any]]
    """`id`, `group` (the video), `split`, `label`, and where there are any `label_<modality>`: (n,) each."""
    words: dict[str, list[str]]
    """`text` that was said and `annotation`, where the file has them."""
    replaced: dict[str, int]
    """Per modality how many numbers were NaN or infinite, and are 0 now."""


def read_mmsa(file: Path, max_bytes: int = MAX_BYTES) -> Mmsa:
    """Raises UserError, with part and key, for what is missing or has another shape than it should."""
    parts = mmsa_parts(file, max_bytes)
    read = {split: _read_part(part, f"{file}: {split}") for split, part in parts.items()}
    kinds = {split: (sorted(one.x), sorted(one.lengths), sorted(one.columns)) for split, one in read.items()}
    if len({str(kind) for kind in kinds.values()}) > 1:
        raise UserError(f"{file}: its parts hold different arrays: {kinds}")
    try:
        return _joined(read)
    except ValueError as error:
        raise UserError(f"{file}: its parts have different shapes: {error}") from None


def mmsa_parts(file: Path, max_bytes: int = MAX_BYTES) -> dict[str, dict[str, Any]]:
    """The parts of a pickle as they are. Raises UserError where it has another structure."""
    content = unpickle(file, max_bytes)
    if not isinstance(content, dict) or not content or not set(content) <= set(SPLITS):
        found = (
            f"keys {', '.join(map(repr, list(content)[:5]))}" if isinstance(content, dict) else type(content).__name__
        )
        raise UserError(f"{file} holds {found}; a pickle of MMSA is a dict of {', '.join(SPLITS)}")
    for split, part in content.items():
        if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
            raise UserError(f"{file}: {split} is {type(part).__name__}; it should be a dict of arrays")
    return content


def convert_mmsa(file: Path, out: Path, max_bytes: int = MAX_BYTES) -> tuple[Mmsa, str]:
    """Write `features.npz`, `samples.csv` and `about.json` to the new folder `out`; gives the data and the sha256."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty; name a new folder")
    data = read_mmsa(file, max_bytes)
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    out.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {**data.x, **{f"{m}_lengths": n for m, n in data.lengths.items()}, **data.columns}
    with replacing(out / FEATURES) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)
    columns = {**{name: values.tolist() for name, values in data.columns.items()}, **data.words}
    with replacing(out / SAMPLES) as temporary, temporary.open("w", newline="", encoding="utf-8") as rows:
        writer = csv.writer(rows)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    about = {
        "source": file.name,
        "sha256": digest,
        "published_as": PUBLISHED.get(digest),
        "replaced_by_0": data.replaced,
        "shapes": {m: list(values.shape) for m, values in data.x.items()},
    }
    with replacing(out / ABOUT) as temporary:
        temporary.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return data, digest


def _read_part(part: Mapping[str, Any], where: str) -> Mmsa:
    if missing := [key for key in ("id", "regression_labels") if key not in part]:
        raise UserError(f"{where} has no {missing[0]!r}; its keys are {', '.join(part)}")
    ids = _texts(part["id"], f"{where}.id")
    x, replaced = {}, {}
    for m in MODALITIES:
        if m in part:
            x[m], replaced[m] = _features(part[m], len(ids), f"{where}.{m}")
    if not x:
        raise UserError(f"{where} has none of {', '.join(MODALITIES)}; its keys are {', '.join(part)}")
    columns: dict[str, NDArray[Any]] = {
        "id": np.array(ids),
        "group": np.array([one.split(_VIDEO_FROM_CLIP)[0] for one in ids]),
        "label": _numbers(part["regression_labels"], len(ids), f"{where}.regression_labels"),
    }
    for m in x:
        if (key := f"regression_labels_{m[0].upper()}") in part:
            columns[f"label_{m}"] = _numbers(part[key], len(ids), f"{where}.{key}")
    lengths = {}
    for m, values in x.items():
        if (key := f"{m}_lengths") in part:
            found = _numbers(part[key], len(ids), f"{where}.{key}")
            if ((found < 0) | (found > values.shape[1]) | (found % 1 != 0)).any():
                raise UserError(f"{where}.{key} has {found.max():g}; lengths are whole, from 0 to {values.shape[1]}")
            lengths[m] = found.astype(np.int64)
    words = {}
    for name, key in (("text", "raw_text"), ("annotation", "annotations")):
        if key in part:
            words[name] = _texts(part[key], f"{where}.{key}")
            if len(words[name]) != len(ids):
                raise UserError(f"{where}.{key} has {len(words[name])} entries for {len(ids)} samples")
    return Mmsa(x, lengths, columns, words, replaced)


def _joined(read: Mapping[str, Mmsa]) -> Mmsa:
    parts = list(read.values())
    first = parts[0]
    split = np.concatenate([np.full(len(part.columns["id"]), name) for name, part in read.items()])
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in first.columns}
    return Mmsa(
        {m: np.concatenate([part.x[m] for part in parts]) for m in first.x},
        {m: np.concatenate([part.lengths[m] for part in parts]) for m in first.lengths},
        {"id": columns.pop("id"), "group": columns.pop("group"), "split": split, **columns},
        {
            name: [word for part in parts for word in part.words[name]]
            for name in first.words
            if all(name in part.words for part in parts)
        },
        {m: sum(part.replaced[m] for part in parts) for m in first.x},
    )


def _features(values: Any, n: int, where: str) -> tuple[NDArray[np.float32], int]:
    """(n, t, d), and how many of the numbers were not finite. Peers put 0 in their place too, and say nothing."""
    array = _array(values, where)
    if array.ndim != 3 or len(array) != n or 0 in array.shape:
        raise UserError(f"{where} has shape {array.shape}; it should be ({n}, steps, features)")
    bad = ~np.isfinite(array)
    return np.where(bad, 0, array).astype(np.float32), int(bad.sum())


def _numbers(values: Any, n: int, where: str) -> NDArray[np.float64]:
    array = _array(values, where).astype(np.float64).reshape(-1)
    if len(array) != n:
        raise UserError(f"{where} has {len(array)} numbers for {n} samples")
    if not np.isfinite(array).all():
        raise UserError(f"{where} is {array[~np.isfinite(array)][0]} in row {int((~np.isfinite(array)).argmax())}")
    return array


def _array(values: Any, where: str) -> NDArray[Any]:
    """Lists are taken as arrays are. Raises UserError for lists of unequal length and for anything but numbers."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UserError(f"{where} is no array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"{where} is of type {array.dtype}; it should be numbers")
    return array


def _texts(values: Any, where: str) -> list[str]:
    """Text, as a list or as an array of text or objects; numbers are ids too."""
    flat = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(flat, list) or not all(isinstance(one, str | int | float) for one in flat):
        raise UserError(f"{where} is not a list of text")
    return [str(one) for one in flat]
