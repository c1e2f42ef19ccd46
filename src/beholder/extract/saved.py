"""Fitted extractors beside a model: `extractors.json` and, where they learnt arrays, `extractors.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from beholder.errors import UserError
from beholder.extract.learnt import Learnt
from beholder.extract.table import EXTRACTORS, Extractor, extractor

FILE, ARRAYS = "extractors.json", "extractors.safetensors"


def save_extractors(extractors: Mapping[str, Extractor], folder: Path, *, half: bool = False) -> None:
    """Write what `read_extractors` reads, by modality. `half` keeps float16, for models that must be small."""
    from safetensors.numpy import save_file

    rows: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for m, one in extractors.items():
        if one.learnt is None:
            raise ValueError(f"{one.row.name} of {m} has not been fitted")
        rows[m] = {
            "extractor": one.row.name,
            "version": one.row.version,
            "width": one.width,
            "settings": one.config.model_dump(),
            "words": one.learnt.words,
            "facts": one.learnt.facts,
        }
        kind = np.float16 if half else np.float32
        arrays |= {f"{m}/{name}": np.ascontiguousarray(a.astype(kind)) for name, a in one.learnt.arrays.items()}
    if arrays:
        save_file(arrays, folder / ARRAYS)
    digest = sha256((folder / ARRAYS).read_bytes()).hexdigest() if arrays else None
    content = json.dumps({"modalities": rows, "arrays_sha256": digest}, indent=1, ensure_ascii=False)
    (folder / FILE).write_text(content + "\n", encoding="utf-8")


def read_extractors(folder: Path) -> dict[str, Extractor]:
    """Extractors by modality; none where the model was fitted to features.

    Raises UserError for another version of an extractor than the model's, for a package that is missing, and for
    files that are damaged.
    """
    if not (folder / FILE).is_file():
        return {}
    try:
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
        arrays = _arrays(folder, stored["arrays_sha256"])
        return {m: _one(m, row, arrays, folder) for m, row in stored["modalities"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        if isinstance(error, UserError):
            raise
        what = f"{type(error).__name__} {error}"
        raise UserError(f"{folder / FILE} is damaged: {what}; copy the folder again") from error


def _one(m: str, stored: Mapping[str, Any], arrays: Mapping[str, Any], folder: Path) -> Extractor:
    name, version = stored["extractor"], stored["version"]
    known = {row.name: row.version for row in EXTRACTORS}
    if known.get(name, version) != version:
        raise UserError(
            f"{folder} reads {m} by {name} {version}, and this beholder has {name} {known[name]}, which gives other "
            "numbers. Install the beholder that the model's card names, or fit again"
        )
    one = extractor(name, stored["settings"])
    own = {key.partition("/")[2]: a.astype(np.float64) for key, a in arrays.items() if key.partition("/")[0] == m}
    learnt = Learnt(own, tuple(stored["words"]), dict(stored["facts"]))
    return Extractor(one.row, one.config, learnt, int(stored["width"]))


def _arrays(folder: Path, digest: str | None) -> dict[str, Any]:
    if digest is None:
        return {}
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = (folder / ARRAYS).read_bytes()
    if sha256(content).hexdigest() != digest:
        raise UserError(f"{folder / ARRAYS} is not the file that {FILE} describes; copy the folder again")
    try:
        return load(content)
    except SafetensorError as error:
        raise UserError(f"{folder / ARRAYS} is damaged: {error}; copy the folder again") from error
