"""Equality of two tables of scores."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from beholder.task import TASKS


def assert_same_rows(actual: pa.Table, expected: pa.Table) -> None:
    """Equal in every column; level probabilities to 1e-5 and scores to 1e-3, the tolerance that `score` states."""
    assert actual.schema == expected.schema
    numbers = [name for name in actual.column_names if name.removesuffix("_levels") in TASKS]
    assert actual.drop_columns(numbers).equals(expected.drop_columns(numbers))
    for name in numbers:
        assert actual[name].is_null().equals(expected[name].is_null())
        both = [table[name].drop_null().combine_chunks() for table in (actual, expected)]
        values = [(column.flatten() if name.endswith("_levels") else column).to_numpy() for column in both]
        np.testing.assert_allclose(*values, rtol=0, atol=1e-5 if name.endswith("_levels") else 1e-3)
