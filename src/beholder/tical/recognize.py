"""`beholder.recognize`: emotion of a table of clips, or of one clip, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from beholder.errors import UserError
from beholder.extract.saved import read_extractors
from beholder.extract.table import Extractor, Source
from beholder.tical.bundle import Bundle, read_bundle, stacked
from beholder.tical.card import DEFAULT_EMOTION_MODEL, model_folder
from beholder.tical.folder import Model, load
from beholder.tical.raw import OnRead, extract, quiet

One = str | Path | Image.Image | np.ndarray[Any, Any] | None
"""A file, a text where the modality is read as text, a picture, features (d,); None is missing."""


def recognize(
    table: str | Path | None = None,
    /,
    *,
    model: str | Path = DEFAULT_EMOTION_MODEL,
    on_read: OnRead = quiet,
    **modalities: One | list[One],
) -> pa.Table:
    """The emotion that clips show, and how far their modalities agree: one row per clip, in order.

    Either a table of clips, as `beholder emotion predict` takes it, or each modality by its name: one clip, or a list
    of as many clips each. `model` is a name or a folder. A clip that can't be read keeps its row, with `status` and
    `error`. Columns are those of `TicalClassifier.assess`, after `id`, `status` and `error`.

        beholder.recognize(face="me.png", text="I can't believe it!")["pred"]
        beholder.recognize("clips.csv", model="models/mine")

    Raises UserError (a ValueError) for a model or table that can't be used, a modality that the model does not know,
    lists of unequal length, a package that an extractor needs and that is missing.
    """
    folder = model_folder(model)
    opened, extractors = load(folder), read_extractors(folder)
    if (table is None) == (not modalities):
        raise UserError(f"give a table, or modalities by name: {', '.join(f'{m}=...' for m in opened.modalities_)}")
    if table is not None:
        return told(opened, read_bundle(Path(table), extractors, on_read))
    return told(opened, _bundle(modalities, opened, extractors, on_read))


def told(model: Model, bundle: Bundle) -> pa.Table:
    """What a model says of each sample: `id`, `status` (`ok`, `no_modality`, `unreadable`), `error`, and the rest."""
    columns: dict[str, Any] = {"id": bundle.id, **model.assess(bundle.x)}
    status = columns["status"].astype(object)
    status[list(bundle.problems)] = "unreadable"
    columns |= {"status": status, "error": [bundle.problems.get(i, "") for i in range(len(status))]}
    order = ("id", "status", "error")
    names = [*order, *(name for name in columns if name not in order)]
    return pa.table({name: pa.array(columns[name]) for name in names})


def _bundle(
    given: Mapping[str, One | list[One]], model: Model, extractors: Mapping[str, Extractor], on_read: OnRead
) -> Bundle:
    if unknown := sorted(set(given) - set(model.modalities_)):
        raise UserError(f"the model knows no modality {unknown[0]!r}; it knows {', '.join(model.modalities_)}")
    lists = {m: values if isinstance(values, list) else [values] for m, values in given.items()}
    counts = {m: len(values) for m, values in lists.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise UserError(f"modalities have unequal or no clips: {', '.join(f'{m} {n}' for m, n in counts.items())}")
    problems: dict[int, str] = {}
    x: dict[str, Any] = {}
    for m, values in lists.items():
        if all(value is None or isinstance(value, np.ndarray) for value in values):
            if any(value is not None for value in values):
                x[m] = stacked(m, values, problems)  # type: ignore[arg-type]
            continue
        one = extractors.get(m)
        sources = [_source(m, value, one) for value in values]
        assert one is not None
        x[m], _ = extract(m, one, sources, problems=problems, on_read=on_read)
    n = next(iter(counts.values()))
    if not x:
        m, kind = next(iter(model.modalities_.items()))
        x[m] = np.full((n, 1, kind.width) if kind.is_sequence else (n, kind.width), np.nan)
    for values in x.values():
        values[list(problems)] = np.nan
    return Bundle(x, np.arange(n), None, None, None, problems=problems)


def _source(m: str, value: One, one: Extractor | None) -> Source | None:
    if one is None:
        raise UserError(f"the model reads features of {m!r}, an array (features,), and got {type(value).__name__}")
    if isinstance(value, np.ndarray):
        raise UserError(f"modality {m!r} has both arrays of features and other things; give one kind")
    if isinstance(value, str):
        return (value or None) if one.row.reads == "text" else Path(value)
    if isinstance(value, Image.Image) and one.row.reads != "picture":
        raise UserError(f"modality {m!r} is a picture, and the model reads it as {one.row.reads}")
    return value
