"""What a model keeps of its extractors: `extract.json` and `extract.safetensors` in its folder. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as packed

from beholder import __version__
from beholder.batch.files import replacing
from beholder.errors import UserError
from beholder.tical.raw.learned import Array, Learned
from beholder.tical.raw.table import EXTRACTORS, Extractor

FACTS, ARRAYS = "extract.json", "extract.safetensors"


@dataclass(frozen=True)
class Kept:
    """The extractor of one modality."""

    extractor: Extractor
    source: str = ""
    learned: Learned = field(default_factory=Learned)

    def apply(self, measured: Any) -> Array:
        """The features (d,) of what was measured of one sample."""
        return np.asarray(self.extractor.apply(self.learned, [measured], self.source)[0], np.float64)


def save_extraction(kept: Mapping[str, Kept], folder: Path) -> None:
    """Write it into a model's folder."""
    arrays = {
        f"{m}.{name}": np.ascontiguousarray(a) for m, one in kept.items() for name, a in one.learned.arrays.items()
    }
    with replacing(folder / ARRAYS) as temporary:
        temporary.write_bytes(packed(arrays))
    modalities = {
        m: {
            "extractor": one.extractor.name,
            "version": one.extractor.version,
            "source": one.source,
            "arrays": sorted(one.learned.arrays),
            "facts": one.learned.facts,
        }
        for m, one in kept.items()
    }
    digest = sha256((folder / ARRAYS).read_bytes()).hexdigest()
    facts = {"beholder": __version__, "arrays_sha256": digest, "modalities": modalities}
    with replacing(folder / FACTS) as temporary:
        temporary.write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")


def load_extraction(folder: Path) -> dict[str, Kept]:
    """What `save_extraction` wrote; nothing where the model was fitted on features.

    Raises UserError for files that are damaged or changed, and for an extractor that this version doesn't have or has
    in another version.
    """
    try:
        if not (folder / FACTS).is_file():
            card = folder / "card.json"
            asked = json.loads(card.read_text(encoding="utf-8")).get("extractors") if card.is_file() else None
            if asked:
                raise UserError(f"{folder} has no {FACTS}, and {', '.join(asked)} needs it; copy the folder again")
            return {}
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if sha256((folder / ARRAYS).read_bytes()).hexdigest() != facts["arrays_sha256"]:
            raise UserError(f"{folder / ARRAYS} is not the file that {FACTS} describes; copy the folder again")
        arrays = load_file(folder / ARRAYS)
        return {m: _rebuilt(m, one, arrays, facts["beholder"]) for m, one in facts["modalities"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{folder} is damaged: {type(error).__name__} {error}; copy the folder again") from error


def _rebuilt(m: str, one: dict[str, Any], arrays: dict[str, Any], by: str) -> Kept:
    name, version = one["extractor"], one["version"]
    if name not in EXTRACTORS or EXTRACTORS[name].version != version:
        here = f"version {EXTRACTORS[name].version}" if name in EXTRACTORS else "none of that name"
        raise UserError(
            f"{m} was extracted by {name} version {version} (beholder {by}), and here is {here}; "
            "fit the model again, or install the version it was made with"
        )
    learned = Learned({key: arrays[f"{m}.{key}"] for key in one["arrays"]}, one["facts"])
    return Kept(EXTRACTORS[name], one["source"], learned)
