"""A table of features: one `.npz` with an array per modality, or a `.csv` or `.parquet` with a file per cell."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.inputs import Array, cut, pad

TABLES = (".csv", ".parquet")

_FACTS = ("id", "label", "group", "split")
_LENGTHS, _PATH, _LABEL = "_lengths", "_path", "label_"


@dataclass(frozen=True)
class Bundle:
    """Features per modality, and what is known of the samples."""

    x: dict[str, Array]
    """(n, d) float64, or (n, t, d) with NaN past the end of each sample."""
    id: NDArray[Any]
    """(n,); row numbers where the file has none."""
    label: NDArray[Any] | None
    group: NDArray[Any] | None
    split: NDArray[Any] | None
    unimodal: dict[str, NDArray[Any]] = field(default_factory=dict)
    """What people said of one modality by itself, (n,); never learned from."""
    problems: dict[int, str] = field(default_factory=dict)
    """Per row whose features could not be read, why. Such a row has no modality."""

    def part(self, split: str) -> Bundle:
        """The samples of one split. Raises UserError where there are none."""
        if self.split is None:
            raise UserError(f"the table has no 'split', so no samples of {split!r}")
        rows = np.flatnonzero(self.split == split)
        if not len(rows):
            raise UserError(f"no sample is of split {split!r}; there are {', '.join(map(str, np.unique(self.split)))}")
        place = {int(row): i for i, row in enumerate(rows)}
        return Bundle(
            {m: values[rows] for m, values in self.x.items()},
            self.id[rows],
            None if self.label is None else self.label[rows],
            None if self.group is None else self.group[rows],
            self.split[rows],
            {m: values[rows] for m, values in self.unimodal.items()},
            {place[row]: why for row, why in self.problems.items() if row in place},
        )


def read_bundle(file: Path) -> Bundle:
    """The table in `file`. Nothing is unpickled.

    Of an `.npz` every array is a modality but `id`, `label`, `group`, `split`, and with a modality m: `m_lengths`, the
    steps of its sequences, and `label_m`. A `.csv` or `.parquet` has columns of those names, and `m_path` with the
    `.npy` or `.npz` of each sample, relative to the table; an empty cell is a missing modality; columns of other names
    are left alone. A cell whose file can't be read is in `problems`.

    Raises UserError for another file, objects, text as a modality, arrays of unequal length or shape.
    """
    return _read_table(file) if file.suffix.lower() in TABLES else _read_npz(file)


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Every array of an `.npz`. Raises UserError for another file, and for one that holds objects."""
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}; give an .npz with an array per modality, or a .csv or .parquet")
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


def _read_npz(file: Path) -> Bundle:
    arrays = read_arrays(file)
    found = {name: values for name, values in arrays.items() if name not in _FACTS}
    lengths = {m: found.pop(m + _LENGTHS) for m in list(found) if m + _LENGTHS in found}
    unimodal = {m: found.pop(_LABEL + m) for m in list(found) if _LABEL + m in found}
    if not found:
        raise UserError(f"{file} has no modality: its arrays are {', '.join(arrays) or 'none'}")
    for name, values in found.items():
        if values.ndim not in (2, 3) or not np.issubdtype(values.dtype, np.number):
            raise UserError(
                f"{file}: {name!r} is {values.dtype} of shape {values.shape}; "
                "a modality is numbers (samples, features) or (samples, steps, features)"
            )
    counts = {name: len(values) for name, values in arrays.items()}
    if len(set(counts.values())) > 1:
        raise UserError(f"{file} has unequal lengths: {', '.join(f'{name} {n}' for name, n in counts.items())}")
    x: dict[str, Array] = {m: v.astype(np.float64 if v.ndim == 2 else np.float32) for m, v in found.items()}
    if flat := [m for m in lengths if x[m].ndim == 2]:
        raise UserError(f"{file}: {flat[0]!r} has lengths, but no steps: its shape is {x[flat[0]].shape}")
    x |= {m: cut(x[m], values, m) for m, values in lengths.items()}
    n = len(next(iter(x.values())))
    label, group, split = (arrays.get(name) for name in _FACTS[1:])
    return Bundle(x, arrays.get("id", np.arange(n)), label, group, split, unimodal)


def _read_table(file: Path) -> Bundle:
    table = read_columns(file)
    names = table.column_names
    modalities = [name.removesuffix(_PATH) for name in names if name.endswith(_PATH)]
    if not modalities:
        raise UserError(f"{file} has no column that ends in {_PATH}; its columns are {', '.join(names)}")
    cells: dict[str, list[NDArray[Any] | None]] = {}
    problems: dict[int, str] = {}
    for m in modalities:
        cells[m] = []
        for row, path in enumerate(table[m + _PATH].to_pylist()):
            read = _read_cell(file.parent / path, m) if path else None
            if isinstance(read, str):
                problems.setdefault(row, read)
            cells[m].append(None if isinstance(read, str) else read)
    x = {m: _stacked(m, cells[m], problems) for m in modalities}
    for values in x.values():
        values[list(problems)] = np.nan
    facts = {name: _column(table, name, file) if name in names else None for name in _FACTS}
    ids = facts.pop("id")
    unimodal = {m: _column(table, _LABEL + m, file) for m in modalities if _LABEL + m in names}
    return Bundle(x, np.arange(len(table)) if ids is None else ids, **facts, unimodal=unimodal, problems=problems)


def _read_cell(path: Path, m: str) -> NDArray[Any] | str:
    """The array in a file, or why there is none."""
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.lib.npyio.NpzFile):
            with stored:
                names = list(stored)
                if m not in names and len(names) != 1:
                    return f"{path} holds {', '.join(names) or 'nothing'}, and no array {m!r}"
                stored = stored[m if m in names else names[0]]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        return f"{path} can't be read as .npy or .npz without objects: {error}"
    if stored.ndim not in (1, 2) or not np.issubdtype(stored.dtype, np.number):
        return (
            f"{path} is {stored.dtype} of shape {stored.shape}; it should be numbers (features,) or (steps, features)"
        )
    array: NDArray[Any] = stored
    return array


def _stacked(m: str, cells: Sequence[NDArray[Any] | None], problems: dict[int, str]) -> Array:
    """One array of all cells. The first that was read says what the others should be; others are problems."""
    first = next((cell for cell in cells if cell is not None), None)
    if first is None:
        raise UserError(f"no file of {m!r} could be read: {next(iter(problems.values()), 'all cells are empty')}")
    alike: list[NDArray[Any] | None] = []
    for row, cell in enumerate(cells):
        fits = cell is None or (cell.ndim == first.ndim and cell.shape[-1] == first.shape[-1])
        if not fits and cell is not None:
            problems.setdefault(row, f"{m} has shape {cell.shape} in row {row}, and {first.shape} in the first")
        alike.append(cell if fits else None)
    if first.ndim == 2:
        return pad(alike, m)
    nothing = np.full(len(first), np.nan)
    return np.stack([nothing if cell is None else cell.astype(np.float64) for cell in alike])


def _column(table: pa.Table, name: str, file: Path) -> NDArray[Any]:
    column = table[name]
    if column.null_count:
        row = column.to_pylist().index(None)
        raise UserError(f"{file}: {name!r} is empty in row {row}; every sample needs one")
    return np.array(column.to_pylist())
