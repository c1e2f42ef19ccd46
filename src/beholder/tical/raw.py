"""Raw files and texts of a table, turned into features by extractors. A clip that fails is a problem of its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.extract.limits import ExtractError
from beholder.extract.table import EXTRACTORS, Extractor, Measured, Source
from beholder.tical.inputs import Array

FILE = "_file"

OnRead = Callable[[str, int, int], None]
"""(modality, files read, files in all)."""


def quiet(modality: str, done: int, total: int) -> None:
    """Tells nobody."""


def raw_columns(names: Sequence[str], extractors: Mapping[str, Extractor], file: Path) -> dict[str, str]:
    """Modality to the column of its files or texts: `m_file`, or `m` itself where the extractor reads text.

    Raises UserError for a column of files without an extractor, two columns of one modality, and an extractor that
    has yet to be fitted and has no column.
    """
    found = {name.removesuffix(FILE): name for name in names if name.endswith(FILE)}
    if unread := sorted(set(found) - set(extractors)):
        able = ", ".join(row.name for row in EXTRACTORS)
        raise UserError(
            f"{file}: {found[unread[0]]!r} names raw files, and nothing says how to read them. In fit, say "
            f"--extract {unread[0]}=NAME, where NAME is one of {able}; a fitted model reads what it was fitted to read"
        )
    for m, one in extractors.items():
        if one.row.reads == "text" and m in names:
            if m in found:
                raise UserError(f"{file} has both {m!r} and {found[m]!r}; keep one")
            found[m] = m
        if m not in found and one.learnt is None:
            text = f", or {m!r} with the texts themselves" if one.row.reads == "text" else ""
            raise UserError(f"{file} has no column {m + FILE!r} with files for {one.row.name}{text}")
    if twice := [m for m in found if f"{m}_path" in names]:
        raise UserError(f"{file} has both {found[twice[0]]!r} and '{twice[0]}_path'; keep one")
    return found


def sources_of(table: pa.Table, column: str, one: Extractor, folder: Path) -> list[Source | None]:
    """A cell each; None where it is empty. Names of files are relative to `folder`."""
    cells = table[column].to_pylist()
    is_text = one.row.reads == "text" and not column.endswith(FILE)
    return [None if cell in (None, "") else str(cell) if is_text else folder / str(cell) for cell in cells]


def extract(
    m: str,
    one: Extractor,
    sources: Sequence[Source | None],
    *,
    learn: NDArray[np.bool_] | None = None,
    problems: dict[int, str],
    on_read: OnRead = quiet,
) -> tuple[Array, Extractor]:
    """Features (n, d) of `sources`, rows of NaN where there is none; what can't be read is added to `problems`.

    An extractor that has yet to learn does so from the rows `learn` (n,), by default from all. Raises UserError where
    none of these can be read, or a package is missing.
    """
    measured: list[Measured | None] = []
    if any(source is not None for source in sources):
        one.check_installed()
    for row, source in enumerate(sources):
        measured.append(None if source is None else _measured(one, source, row, problems))
        on_read(m, row + 1, len(sources))
    read = np.array([found is not None for found in measured], dtype=bool)
    if one.learnt is None:
        seen = read if learn is None else read & learn
        if not seen.any():
            why = next(iter(problems.values()), "all cells are empty")
            raise UserError(f"nothing of {m!r} in the training part could be read: {why}")
        one = one.fit([measured[row] for row in np.flatnonzero(seen)])  # type: ignore[misc]
    out = np.full((len(sources), one.width), np.nan)
    if read.any():
        out[read] = one.features([found for found in measured if found is not None])
    return out, one


def _measured(one: Extractor, source: Source, row: int, problems: dict[int, str]) -> Any:
    try:
        return one.measure(source)
    except ExtractError as error:
        problems.setdefault(row, str(error))
        return None
