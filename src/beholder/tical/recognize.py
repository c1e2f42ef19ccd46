"""`beholder.recognize`: the emotion of what one has, in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.embedded import DEFAULT, resolve
from beholder.tical.folder import load
from beholder.tical.inputs import Kind, pad
from beholder.tical.raw.kept import load_extraction
from beholder.tical.raw.rows import Extraction

Input = str | Path | NDArray[Any] | None


def recognize(
    samples: Mapping[str, Input] | Sequence[Mapping[str, Input]], *, model: str | Path = DEFAULT
) -> dict[str, Any] | list[dict[str, Any]]:
    """What each sample shows, what each modality shows by itself, and whether they agree.

    A sample has by modality a file, the text itself, or features (d,) or (steps, d); None, or nothing, where it is
    missing. A str is a file, but for a modality that is read as text: its files are a Path. `model` is `tical-mini` or
    a folder.

    Gives a dict per sample, as `TicalClassifier.assess` has columns, with `error`; one dict for one sample. A sample
    that can't be read has status `unreadable`, one without any modality `no_modality`. Raises UserError for a modality
    that the model doesn't know, and for features of another shape than it learned from.

    >>> recognize({"text": "I am so happy for you!"})["text_pseudo"]  # doctest: +SKIP
    'H'
    """
    one = isinstance(samples, Mapping)
    given: list[Mapping[str, Input]] = [samples] if isinstance(samples, Mapping) else list(samples)
    if not given:
        return []
    folder = resolve(model)
    loaded = load(folder)
    extraction = Extraction(load_extraction(folder))
    kinds = loaded.modalities_
    problems: dict[int, str] = {}
    cells: dict[str, list[NDArray[Any] | None]] = {m: [] for m in kinds}
    for row, sample in enumerate(given):
        if unknown := sorted(set(sample) - set(kinds)):
            raise UserError(f"sample {row}: modality {unknown[0]!r} is unknown; the model knows {', '.join(kinds)}")
        for m, kind in kinds.items():
            cell = _features(extraction, m, kind, sample.get(m), row)
            if isinstance(cell, str):
                problems.setdefault(row, cell)
            cells[m].append(None if isinstance(cell, str) else cell)
    x = {m: _stacked(m, kind, cells[m]) for m, kind in kinds.items()}
    for values in x.values():
        values[list(problems)] = np.nan
    columns = loaded.assess(x)
    rows = [{name: _plain(values[i]) for name, values in columns.items()} for i in range(len(given))]
    for i, found in enumerate(rows):
        found["error"] = problems.get(i, "")
        if i in problems:
            found["status"] = "unreadable"
    return rows[0] if one else rows


def _features(extraction: Extraction, m: str, kind: Kind, value: Input, row: int) -> NDArray[Any] | str | None:
    """Features of one input, the reason why there are none, or None where it is missing."""
    if value is None:
        return None
    if isinstance(value, str | os.PathLike):
        if not extraction.knows(m):
            raise UserError(f"sample {row}: the model was fitted on features of {m}; give an array of {kind.width}")
        is_text = isinstance(value, str) and extraction.kept[m].extractor.reads == "text"
        return extraction.text(m, str(value)) if is_text else extraction.file(m, Path(value))
    array = np.asarray(value)
    if array.ndim != 1 + kind.is_sequence or array.shape[-1] != kind.width:
        wanted = f"(steps, {kind.width})" if kind.is_sequence else f"({kind.width},)"
        raise UserError(f"sample {row}: {m} has shape {array.shape}; it must be {wanted}")
    return array


def _stacked(m: str, kind: Kind, cells: list[NDArray[Any] | None]) -> NDArray[Any]:
    if kind.is_sequence:
        padded: NDArray[Any] = pad([*cells, np.zeros((1, kind.width), np.float32)], m)[:-1]
        return padded
    nothing = np.full(kind.width, np.nan)
    return np.stack([nothing if cell is None else cell.astype(np.float64) for cell in cells])


def _plain(value: Any) -> Any:
    """A number of Python, None for NaN."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and np.isnan(plain) else plain
