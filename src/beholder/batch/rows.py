"""The table that comes out: one row per picture, in input order, and how odd file names are written in it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa

from beholder.scoring.card import Card
from beholder.scoring.score import Score
from beholder.task import LEVELS

_LEVEL_LIST = pa.list_(pa.float32(), len(LEVELS))

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # as found, see `path_text`
        ("quality", pa.float32()),  # 0-100, higher is better; null where nothing was scored
        ("aesthetics", pa.float32()),
        ("quality_levels", _LEVEL_LIST),  # probabilities of bad, poor, fair, good, perfect
        ("aesthetics_levels", _LEVEL_LIST),
        ("quality_reason", pa.string()),  # the model's own words; null where it was not asked for them
        ("aesthetics_reason", pa.string()),
        ("width", pa.int32()),  # pixels, EXIF rotation applied
        ("height", pa.int32()),
        ("status", pa.string()),  # `ok` or what went wrong, see `beholder.imaging.status`
        ("error", pa.string()),  # the reason in words; null where status is `ok`
        ("note", pa.string()),  # what was done to a picture that is scored all the same; mostly null
        ("model", pa.string()),
        ("weights_sha256", pa.string()),
        ("preprocess", pa.string()),
    ]
)
"""Columns and types of every output file; in CSV a list of levels is five columns."""


def rows_table(scores: Sequence[Score], card: Card) -> pa.Table:
    """Rows of `SCHEMA` for scored and failed pictures alike, in order. Every score needs its `path`."""
    n = len(scores)
    columns: dict[str, list[object]] = {
        "path": [path_text(score.path or "") for score in scores],
        "model": [card.name] * n,
        "weights_sha256": [card.weights_sha256] * n,
        "preprocess": [card.preprocess] * n,
    }
    for name in SCHEMA.names:
        if name not in columns:
            columns[name] = [getattr(score, name) for score in scores]
    for name in ("quality_reason", "aesthetics_reason", "error", "note"):  # a message may quote the odd name
        columns[name] = [_as_unicode(getattr(score, name)) for score in scores]
    return pa.table([pa.array(columns[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


_MARK = "␛"


def path_text(path: str) -> str:
    r"""A path as valid Unicode, without loss: parquet and JSON hold no other text, file systems hold any bytes.

    Python keeps a byte of a name that is not UTF-8 as a surrogate. Such a code unit, and the rare mark `␛` itself,
    is written as `␛` and its four hex digits; every other name stays exactly as it is.

    >>> path_text("holiday.jpg"), path_text("caf\udce9.jpg"), path_from_text("caf␛dce9.jpg") == "caf\udce9.jpg"
    ('holiday.jpg', 'caf␛dce9.jpg', True)
    """
    return re.sub(f"[\ud800-\udfff{_MARK}]", lambda odd: f"{_MARK}{ord(odd[0]):04x}", path)


def path_from_text(text: str) -> str:
    """Inverse of `path_text`: the name to open."""
    return re.sub(f"{_MARK}([0-9a-f]{{4}})", lambda code: chr(int(code[1], 16)), text)


def _as_unicode(text: str | None) -> str | None:
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")
