"""A table as `beholder score` makes it, with just the values that a test is about."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from beholder.batch.rows import SCHEMA


def scored_rows(*rows: dict[str, Any]) -> pa.Table:
    """Rows of the schema; status `ok` and a model's name unless told otherwise, null elsewhere."""
    usual = {"status": "ok", "model": "m", "weights_sha256": "0" * 64, "preprocess": "p"}
    return pa.Table.from_pylist([dict.fromkeys(SCHEMA.names) | usual | row for row in rows], schema=SCHEMA)
