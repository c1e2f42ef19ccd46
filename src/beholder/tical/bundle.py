"""A table of features: one `.npz` with an array per modality, or a `.csv` or `.parquet` with a file per cell.

With a `Raw` reader, which knows the extractors of a model, cells may also be sound, pictures and text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.inputs import Array, Kind, bad_rows, cut, kind_of, no_samples, pad

TABLES = (".csv", ".parquet")
ARRAYS = (".npy", ".npz")
"""Files that hold features already."""

_FACTS = ("id", "label", "group", "split")
_LENGTHS, _PATH, _TEXT, _LABEL = "_lengths", "_path", "_text", "label_"

_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_NUMBER = re.compile(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[-+]?\d+)?|nan|[-+]?inf", re.ASCII | re.IGNORECASE)


class Raw(Protocol):
    """Makes features of what is none yet; both give (features,), or the reason why there are none."""

    def knows(self, m: str) -> bool:
        """Whether it has an extractor of the modality."""

    def width(self, m: str) -> int | None:
        """Features of the modality, where it is known before any file is read."""

    def file(self, m: str, path: Path) -> NDArray[Any] | str:
        """Of a file."""

    def text(self, m: str, words: str) -> NDArray[Any] | str:
        """Of a text that stands in the table itself."""


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


def read_bundle(file: Path, raw: Raw | None = None, kinds: Mapping[str, Kind] | None = None) -> Bundle:
    """The table in `file`. Nothing is unpickled.

    Of an `.npz` every array is a modality but `id`, `label`, `group`, `split`, and with a modality m: `m_lengths`, the
    steps of its sequences, and `label_m`. A `.csv` or `.parquet` has columns of those names, and `m_path` with the
    `.npy` or `.npz` of each sample, relative to the table; an empty cell is a missing modality; columns of other names
    are left alone. A cell whose file can't be read is in `problems`, as is a row that is infinite, or NaN in a part.

    `kinds` says what a sample of each modality is for the model that will be asked; without, the first file of a cell
    says it. Either way others are problems.

    With `raw`, a file of another kind is for the extractor of its modality, and so are a column `m_text` and, in an
    `.npz`, an array of text (n,).

    Raises UserError for another file, objects, text as a modality, arrays of unequal length or shape.
    """
    return _read_table(file, raw, kinds or {}) if file.suffix.lower() in TABLES else _read_npz(file, raw)


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Every array of an `.npz`. Raises UserError for another file, and for one that holds objects."""
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}; give an .npz with an array per modality, or a .csv or .parquet")
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except Exception as error:  # numpy's reader, zip and zlib raise anything for damaged bytes
        raise UserError(f"{file} can't be read as .npz without objects: {_why(error)}") from error
    if other := [name for name, values in arrays.items() if not isinstance(values, np.ndarray)]:
        raise UserError(f"{file} can't be read as .npz: {other[0]!r} in it is no array")
    return arrays


def read_columns(file: Path) -> pa.Table:
    """A `.csv` or `.parquet` as it is. Raises UserError where it can't be read."""
    if not file.is_file():
        raise UserError(f"no file {str(file)!r}")
    try:
        table = _read_csv(file) if file.suffix.lower() == ".csv" else pq.read_table(file, partitioning=None)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} can't be read as a table: {error}") from error
    if double := [name for name, n in Counter(table.column_names).items() if n > 1]:
        raise UserError(f"{file} has the column {double[0]!r} more than once")
    return table


def _read_csv(file: Path) -> pa.Table:
    """What names, files and texts are stays text as it stands there: guessed types make 1 of `001`."""
    cells = pyarrow.csv.ParseOptions(newlines_in_values=True)
    with pyarrow.csv.open_csv(file, parse_options=cells) as opened:
        names = opened.schema.names
    text = {name: pa.string() for name in names if name in _FACTS or name.endswith((_PATH, _TEXT))}
    text |= {name: pa.string() for name in names if name.startswith(_LABEL)}
    types = pyarrow.csv.ConvertOptions(column_types=text)
    return pyarrow.csv.read_csv(file, parse_options=cells, convert_options=types)


def _read_npz(file: Path, raw: Raw | None) -> Bundle:
    arrays = read_arrays(file)
    for name in (name for name in arrays if name in _FACTS or name in {_LABEL + m for m in arrays}):
        arrays[name] = _decoded(name, arrays[name], file)
    found = {name: values for name, values in arrays.items() if name not in _FACTS}
    lengths = {m: found.pop(m + _LENGTHS) for m in list(found) if m + _LENGTHS in found}
    unimodal = {m: found.pop(_LABEL + m) for m in list(found) if _LABEL + m in found}
    counts = {name: len(values) if values.ndim else 0 for name, values in arrays.items()}
    problems: dict[int, str] = {}
    for m in [m for m, values in found.items() if raw is not None and raw.knows(m) and values.dtype.kind == "U"]:
        cells = [_read(raw, m, words or None) for words in found[m].reshape(-1).tolist()]
        found[m] = _stacked(m, _sorted_out(cells, problems), problems, raw.width(m) if raw else None)
    if not found:
        raise UserError(f"{file} has no modality: its arrays are {', '.join(arrays) or 'none'}")
    for name, values in found.items():
        if values.ndim not in (2, 3) or not np.issubdtype(values.dtype, np.number):
            raise UserError(
                f"{file}: {name!r} is {values.dtype} of shape {values.shape}; "
                "a modality is numbers (samples, features) or (samples, steps, features)"
            )
    if len(set(counts.values())) > 1:
        raise UserError(f"{file} has unequal lengths: {', '.join(f'{name} {n}' for name, n in counts.items())}")
    if not next(iter(counts.values())):
        raise UserError(f"{file} has no samples")
    x: dict[str, Array] = {m: v.astype(np.float64 if v.ndim == 2 else np.float32) for m, v in found.items()}
    if flat := [m for m in lengths if x[m].ndim == 2]:
        raise UserError(f"{file}: {flat[0]!r} has lengths, but no steps: its shape is {x[flat[0]].shape}")
    x |= {m: cut(x[m], values, m) for m, values in lengths.items()}
    n = _without_bad_rows(x, problems, file)
    label, group, split = (arrays.get(name) for name in _FACTS[1:])
    return Bundle(x, arrays.get("id", np.arange(n)), label, group, split, unimodal, problems)


def raw_cells(table: pa.Table, folder: Path, raw_modalities: Collection[str]) -> dict[str, list[Path | str | None]]:
    """Per modality of a `.csv` or `.parquet` its cells: files, texts of `raw_modalities`, None where it is missing.

    Raises UserError for a table without any, and for a modality with both files and texts.
    """
    names = table.column_names
    out: dict[str, list[Path | str | None]] = {}
    for m in [name.removesuffix(_PATH) for name in names if name.endswith(_PATH)]:
        out[m] = [folder / path if path else None for path in _as_text(table, m + _PATH)]
    for m in (m for m in raw_modalities if m + _TEXT in names):
        if m in out:
            raise UserError(f"the table has both {m + _PATH} and {m + _TEXT}; leave one of them out")
        out[m] = [words or None for words in _as_text(table, m + _TEXT)]
    if not out:
        raise UserError(f"the table has no column that ends in {_PATH}; its columns are {', '.join(names)}")
    return out


def _as_text(table: pa.Table, name: str) -> list[str | None]:
    try:
        texts: list[str | None] = table[name].cast(pa.string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"the column {name!r} is {table[name].type}; it should be text") from error
    return texts


def _read_table(file: Path, raw: Raw | None, kinds: Mapping[str, Kind]) -> Bundle:
    table = read_columns(file)
    names = table.column_names
    known = [n.removesuffix(_TEXT) for n in names if n.endswith(_TEXT) and raw and raw.knows(n.removesuffix(_TEXT))]
    found = raw_cells(table, file.parent, known)
    modalities = list(found)
    problems: dict[int, str] = {}
    read = {m: _sorted_out([_read(raw, m, cell) for cell in cells], problems) for m, cells in found.items()}
    x = {m: _stacked(m, cells, problems, raw.width(m) if raw else None, kinds.get(m)) for m, cells in read.items()}
    _without_bad_rows(x, problems, file)
    facts = {name: _column(table, name, file, gaps=name == "label") if name in names else None for name in _FACTS}
    ids = facts.pop("id")
    unimodal = {m: _column(table, _LABEL + m, file, gaps=True) for m in modalities if _LABEL + m in names}
    return Bundle(x, np.arange(len(table)) if ids is None else ids, **facts, unimodal=unimodal, problems=problems)


def _read(raw: Raw | None, m: str, cell: Path | str | None) -> NDArray[Any] | str | None:
    if isinstance(cell, Path) and (raw is None or not raw.knows(m) or cell.suffix.lower() in ARRAYS):
        return _read_cell(cell, m)
    if raw is None or cell is None:
        return None
    return raw.file(m, cell) if isinstance(cell, Path) else raw.text(m, cell)


def _sorted_out(cells: Sequence[NDArray[Any] | str | None], problems: dict[int, str]) -> list[NDArray[Any] | None]:
    """The arrays; the reasons go into `problems`."""
    for row, cell in enumerate(cells):
        if isinstance(cell, str):
            problems.setdefault(row, cell)
    return [None if isinstance(cell, str) else cell for cell in cells]


def _read_cell(path: Path, m: str) -> NDArray[Any] | str:
    """The array in a file, or why there is none."""
    try:
        stored = _array_in(path, m)
    except UserError as error:
        return str(error)
    if stored.ndim not in (1, 2) or not np.issubdtype(stored.dtype, np.number):
        return (
            f"{path} is {stored.dtype} of shape {stored.shape}; it should be numbers (features,) or (steps, features)"
        )
    return stored


def _array_in(path: Path, m: str) -> NDArray[Any]:
    """Of an `.npz` the one named `m`, or the only one. Raises UserError where there is none."""
    try:
        stored = np.load(path, allow_pickle=False)
        if isinstance(stored, np.lib.npyio.NpzFile):
            with stored as archive:
                names = list(archive)
                chosen = m if m in names else names[0] if len(names) == 1 else None
                stored = None if chosen is None else archive[chosen]
    except Exception as error:  # as in `read_arrays`
        raise UserError(f"{path} can't be read as .npy or .npz without objects: {_why(error)}") from error
    if stored is None:
        raise UserError(f"{path} holds {', '.join(names) or 'nothing'}, and no array {m!r}")
    if not isinstance(stored, np.ndarray):
        raise UserError(f"{path} can't be read as .npz: {chosen!r} in it is no array")
    array: NDArray[Any] = stored
    return array


def _why(error: Exception) -> str:
    """numpy's words, which for whatever is no array recommend to run it."""
    return "it holds Python objects, or is another kind of file" if "pickle" in str(error) else str(error)


def _without_bad_rows(x: dict[str, Array], problems: dict[int, str], file: Path) -> int:
    """Rows with a problem, old or found here, lose all their features; gives the number of rows."""
    n = len(next(iter(x.values())))
    if not n:
        raise UserError(f"{file} has no samples")
    for m, values in x.items():
        for row, why in bad_rows(m, values).items():
            problems.setdefault(row, why)
    for values in x.values():
        values[list(problems)] = np.nan
    return n


def _stacked(
    m: str,
    cells: Sequence[NDArray[Any] | None],
    problems: dict[int, str],
    width: int | None,
    kind: Kind | None = None,
) -> Array:
    """One array of all cells. `kind`, or the first that was read, says what they should be; others are problems."""
    first = next((cell for cell in cells if cell is not None), None)
    wanted, by = (None, "in the first") if first is None else (kind_of(first[None]), "in the first")
    if kind is not None:
        wanted, by = kind, "for this model"
    if wanted is None and width is not None:
        return np.full((len(cells), width), np.nan)
    if wanted is None:
        raise UserError(f"no file of {m!r} could be read: {next(iter(problems.values()), 'all cells are empty')}")
    alike: list[NDArray[Any] | None] = []
    for row, cell in enumerate(cells):
        fits = cell is None or kind_of(cell[None]) == wanted
        if not fits and cell is not None:
            problems.setdefault(row, f"{m} is {kind_of(cell[None])} in row {row}, and {wanted} {by}")
        alike.append(cell if fits else None)
    if all(cell is None for cell in alike):
        return no_samples(len(alike), wanted)
    if wanted.is_sequence:
        return pad(alike, m)
    nothing = np.full(wanted.width, np.nan)
    return np.stack([nothing if cell is None else cell.astype(np.float64) for cell in alike])


def _column(table: pa.Table, name: str, file: Path, *, gaps: bool = False) -> NDArray[Any]:
    """Numbers where all cells are, else text; with `gaps` an empty one is NaN or empty."""
    cells = [None if cell == "" else cell for cell in table[name].to_pylist()]
    if None in cells and not gaps:
        raise UserError(f"{file}: {name!r} is empty in row {cells.index(None)}; every sample needs one")
    if name != "split":
        cells = as_numbers(cells, _WHOLE if name in ("id", "group") else _NUMBER)
    if all(cell is None or isinstance(cell, int | float) for cell in cells) and any(cell is not None for cell in cells):
        return np.array([np.nan if cell is None else cell for cell in cells])
    return np.array(["" if cell is None else str(cell) for cell in cells])


def as_numbers(cells: list[Any], form: re.Pattern[str] = _NUMBER) -> list[Any]:
    """Text as numbers, if all of it has the form of them; None stays. `001` is a name, and so are twenty digits."""
    known = [cell for cell in cells if cell is not None]
    if not known or not all(isinstance(cell, str) and form.fullmatch(cell) for cell in known):
        return cells
    number = int if all(_WHOLE.fullmatch(cell) for cell in known) else float
    return [None if cell is None else number(cell) for cell in cells]


def _decoded(name: str, values: NDArray[Any], file: Path) -> NDArray[Any]:
    """A fact (n,) of an `.npz`; bytes become text."""
    if values.ndim != 1:
        raise UserError(f"{file}: {name!r} has shape {values.shape}; it should be one per sample, (samples,)")
    try:
        return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: {name!r} is text that is not UTF-8") from error
