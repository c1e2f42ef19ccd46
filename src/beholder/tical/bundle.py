"""A table of features: one `.npz` with an array per modality, beside `label`, `group` and `id`."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from beholder.errors import UserError

TABLES = (".csv", ".parquet")

_FACTS = ("id", "label", "group")


@dataclass(frozen=True)
class Bundle:
    """Features per modality (n, d), and what is known of the samples."""

    x: dict[str, NDArray[np.float64]]
    id: NDArray[np.generic]
    """(n,); row numbers where the file has none."""
    label: NDArray[np.generic] | None
    group: NDArray[np.generic] | None


def read_bundle(file: Path) -> Bundle:
    """Every array but `id`, `label` and `group` is a modality. Nothing is unpickled.

    Raises UserError for a file that is no `.npz`, holds objects, text as a modality, or arrays of unequal length.
    """
    arrays = read_arrays(file)
    x = {name: values for name, values in arrays.items() if name not in _FACTS}
    if not x:
        raise UserError(f"{file} has no modality: its arrays are {', '.join(arrays) or 'none'}")
    for name, values in x.items():
        if values.ndim != 2 or not np.issubdtype(values.dtype, np.number):
            raise UserError(
                f"{file}: {name!r} is {values.dtype} of shape {values.shape}; a modality is numbers (samples, features)"
            )
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise UserError(f"{file} has unequal lengths: {', '.join(f'{name} {n}' for name, n in lengths.items())}")
    n = next(iter(lengths.values()))
    features = {name: values.astype(np.float64) for name, values in x.items()}
    return Bundle(features, arrays.get("id", np.arange(n)), arrays.get("label"), arrays.get("group"))


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Every array of an `.npz`. Raises UserError for another file, and for one that holds objects."""
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}; give an .npz with an array per modality")
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError) as error:
        raise UserError(f"{file} can't be read as .npz without objects: {error}") from error


def read_columns(file: Path) -> pa.Table:
    """A `.csv` or `.parquet` as it is. Raises UserError where it can't be read."""
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}")
    try:
        return pyarrow.csv.read_csv(file) if file.suffix.lower() == ".csv" else pq.read_table(file, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} can't be read as a table: {error}") from error
