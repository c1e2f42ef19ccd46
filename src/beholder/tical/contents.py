"""What is inside a file of features: every array or column with its shape, range, gaps and counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.bundle import TABLES, as_numbers, read_arrays, read_columns
from beholder.tical.mmsa import mmsa_parts
from beholder.tical.unpickle import MAX_BYTES

PICKLES = (".pkl", ".pickle")

_FEW = 8
"""Different values that are shown one by one."""


@dataclass(frozen=True)
class Entry:
    """One array or column."""

    name: str
    shape: tuple[int, ...]
    kind: str
    """The type of its values."""
    low: float | None
    """Of the finite numbers; None where there are none."""
    high: float | None
    missing: int
    """NaN, or no value."""
    infinite: int
    distinct: int | None
    """Different values; None of an array of features."""
    counts: dict[str, int]
    """How often each value occurs, where they are few; empty otherwise."""


def contents(file: Path, max_bytes: int = MAX_BYTES) -> list[Entry]:
    """Every array of an `.npz`, column of a `.csv` or `.parquet`, or key of each part of a pickle of MMSA.

    Raises UserError for any other file, and for one that can't be read.
    """
    suffix = file.suffix.lower()
    if suffix == ".npz":
        return [_entry(name, values) for name, values in read_arrays(file).items()]
    if suffix in TABLES:
        return [_entry(name, values) for name, values in _columns(read_columns(file))]
    if suffix in PICKLES:
        parts = mmsa_parts(file, max_bytes)
        return [_entry(f"{split}.{key}", values) for split, part in parts.items() for key, values in part.items()]
    raise UserError(f"{file}: it can't be told what it is; named are .npz, {', '.join((*TABLES, *PICKLES))}")


def _columns(table: pa.Table) -> Iterator[tuple[str, Any]]:
    for name in table.column_names:
        column = table[name]
        if pa.types.is_string(column.type):  # facts of a .csv are read as text
            yield name, as_numbers([cell or None for cell in column.to_pylist()])
            continue
        yield name, column.to_numpy() if column.null_count == 0 else column.to_pylist()


def _entry(name: str, values: Any) -> Entry:
    array = _as_array(values)
    if array is None:
        return Entry(name, (), type(values).__name__, None, None, 0, 0, None, {})
    if array.dtype.kind not in "biuf":
        return _text_entry(name, array)
    missing, infinite, low, high = _spread(array)
    distinct, counts = (None, {}) if array.ndim > 1 else _counted(array[np.isfinite(array)].tolist())
    return Entry(name, array.shape, str(array.dtype), low, high, missing, infinite, distinct, counts)


def _text_entry(name: str, array: NDArray[Any]) -> Entry:
    flat = array.reshape(-1).tolist()
    known = [value for value in flat if value is not None and not (isinstance(value, float) and math.isnan(value))]
    if known and all(isinstance(value, int | float) for value in known):
        numbers = np.array(known, dtype=np.float64)  # a column of numbers with gaps
        _, infinite, low, high = _spread(numbers)
        distinct, counts = _counted(known)
        return Entry(name, array.shape, "number", low, high, len(flat) - len(known), infinite, distinct, counts)
    distinct, counts = _counted([str(value) for value in known])
    return Entry(name, array.shape, "text", None, None, len(flat) - len(known), 0, distinct, counts)


def _as_array(values: Any) -> NDArray[Any] | None:
    try:
        array = np.asarray(values)
    except ValueError:  # a list of lists of unequal length
        return np.array([None if one is None else str(one)[:80] for one in values], dtype=object)
    return array if array.ndim else None


def _spread(array: NDArray[Any]) -> tuple[int, int, float | None, float | None]:
    """NaN, infinite, lowest, highest; row by row, so that a large array is not doubled."""
    missing, infinite, low, high = 0, 0, np.inf, -np.inf
    for row in array if array.ndim > 1 else array[None]:
        finite = np.isfinite(row)
        missing += int(np.isnan(row).sum())
        infinite += int(np.isinf(row).sum())
        if finite.any():
            low, high = min(low, float(row[finite].min())), max(high, float(row[finite].max()))
    return missing, infinite, *((low, high) if low <= high else (None, None))


def _counted(values: Sequence[Any]) -> tuple[int, dict[str, int]]:
    counts = Counter(values)
    few = len(counts) <= _FEW
    return len(counts), {str(value): n for value, n in sorted(counts.items())} if few else {}
