"""Which pictures of a cascade the slow model gets, and the table of both models."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from beholder.batch.files import column_names, read_rows
from beholder.batch.rows import SCHEMA
from beholder.task import TASKS

SCHEMA_OF_BOTH = pa.schema(
    [
        *SCHEMA,
        ("fast_quality", pa.float32()),  # what the fast model gave, whoever's score stands in `quality`
        ("fast_aesthetics", pa.float32()),
        ("picked", pa.string()),  # why the slow model looked: `band`, `audit`, `band and audit`; null where it did not
    ]
)

_ROWS_AT_ONCE = 50_000


def schema_in(file: Path) -> pa.Schema:
    """`SCHEMA_OF_BOTH` where a cascade made the rows of `file`, else `SCHEMA`. Raises `UserError` for no such table."""
    return SCHEMA_OF_BOTH if set(SCHEMA_OF_BOTH.names) - set(SCHEMA.names) <= set(column_names(file)) else SCHEMA


def pick(file: Path, band: tuple[float, float], audit: float) -> dict[str, str]:
    """Path of each picture that the slow model gets -> why, in the order of the fast model's rows in `file`."""
    low, high = band
    picked: dict[str, str] = {}
    with pq.ParquetFile(file) as rows:
        for batch in rows.iter_batches(_ROWS_AT_ONCE, columns=["path", "status", *TASKS]):
            for row in batch.to_pylist():
                if row["status"] != "ok":
                    continue
                in_band = any(row[task] is not None and low <= row[task] <= high for task in TASKS)
                in_audit = _lot(row["path"]) < audit
                if in_band or in_audit:
                    picked[row["path"]] = " and ".join(["band"] * in_band + ["audit"] * in_audit)
    return picked


def _lot(path: str) -> float:
    """A number in [0, 1) that depends on the path alone: the same picks whatever the order, stop or machine."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:6]) / 2**48


def joined(fast: Path, slow: Path | None, picked: dict[str, str]) -> Iterator[pa.Table]:
    """Rows of `SCHEMA_OF_BOTH` in the order of the fast run's; the slow run's rows are in memory."""
    second = SCHEMA.empty_table() if slow is None else read_rows(slow)
    place = {path: i for i, path in enumerate(second["path"].to_pylist())}
    is_ok = [status == "ok" for status in second["status"].to_pylist()]
    with pq.ParquetFile(fast) as file:
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=SCHEMA.names):
            rows = pa.Table.from_batches([batch]).cast(SCHEMA)
            looked = [place.get(path) for path in rows["path"].to_pylist()]
            places = np.array(
                [i if at is None or not is_ok[at] else len(rows) + at for i, at in enumerate(looked)], dtype=np.int64
            )
            both = pa.concat_tables([rows, second]).take(pa.array(places))
            notes = [
                note if at is None or is_ok[at] else _failed_note(note, second.slice(at, 1).to_pylist()[0])
                for note, at in zip(both["note"].to_pylist(), looked, strict=True)
            ]
            both = both.set_column(both.schema.get_field_index("note"), "note", pa.array(notes, pa.string()))
            whys = [picked.get(path) for path in rows["path"].to_pylist()]
            yield pa.table(
                [*both.columns, rows["quality"], rows["aesthetics"], pa.array(whys, pa.string())],
                schema=SCHEMA_OF_BOTH,
            )


def _failed_note(note: str | None, row: dict[str, Any]) -> str:
    failure = f"{row['model']} gave no score: {row['status']}, {row['error']}"
    return failure if note is None else f"{note}; {failure}"
