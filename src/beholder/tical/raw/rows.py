"""Features of the files and texts in a table: learned once from its training rows, then made for any row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from beholder.errors import UserError
from beholder.tical.bundle import ARRAYS, TABLES, raw_cells, read_arrays, read_columns
from beholder.tical.inputs import Kind
from beholder.tical.raw.files import Unreadable
from beholder.tical.raw.kept import Kept, load_extraction
from beholder.tical.raw.table import Extractor, extractor_named

Cell = Path | str

TRAIN = "train"
"""The split whose rows are learned from; all rows where the table has no split."""


class Extraction:
    """Extractors of a model's modalities; a `Raw` reader for `read_bundle`.

    `measured` holds what was measured already, by modality and cell; `widths` the features that a model knows.
    """

    def __init__(
        self,
        kept: Mapping[str, Kept],
        measured: Mapping[tuple[str, Cell], Any] | None = None,
        on_done: Callable[[], None] = lambda: None,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        self.kept = dict(kept)
        self._measured = dict(measured or {})
        self._on_done = on_done
        self._widths = dict(widths or {})

    def knows(self, m: str) -> bool:
        """Whether modality `m` has an extractor."""
        return m in self.kept

    def width(self, m: str) -> int | None:
        """Features of an extracted modality of a fitted model; None before the fit, and for others."""
        return self._widths.get(m) if self.knows(m) else None

    def file(self, m: str, path: Path) -> NDArray[Any] | str:
        """Features (d,) of a file, or the reason why there are none."""
        return self._features(m, path)

    def text(self, m: str, words: str) -> NDArray[Any] | str:
        """Features (d,) of a text, or the reason why there are none."""
        return self._features(m, words)

    def _features(self, m: str, cell: Cell) -> NDArray[Any] | str:
        one = self.kept[m]
        measured = self._measured.get((m, cell))
        if measured is None:
            measured = measure(one.extractor, one.source, cell)
        self._on_done()
        if isinstance(measured, Unreadable):
            return f"{m}: {measured}"
        return one.apply(measured)


def extraction_of(folder: Path, modalities: Mapping[str, Kind], on_done: Callable[[], None]) -> Extraction:
    """The extractors that a fitted model keeps in `folder`; `modalities` are the model's."""
    widths = {m: kind.width for m, kind in modalities.items()}
    return Extraction(load_extraction(folder), on_done=on_done, widths=widths)


def measure(extractor: Extractor, source: str, cell: Cell) -> Any:
    """What the extractor measures of a file or text; the `Unreadable` where it can't."""
    try:
        if isinstance(cell, Path):
            return extractor.measure_file(cell, source)
        if extractor.reads != "text":
            raise UserError(f"{extractor.name} reads a {extractor.reads}, and the table has text; give files")
        return extractor.measure_text(cell, source)
    except Unreadable as why:
        return why


def learn_extraction(file: Path, asked: Mapping[str, str], on_done: Callable[[], None] = lambda: None) -> Extraction:
    """Extractors that have learned what they learn from the training rows of a table, and from no other.

    `asked` is NAME or NAME:SOURCE by modality. Raises UserError for a modality that the table doesn't have, or of which
    no training file could be read.
    """
    extractors = {m: extractor_named(name) for m, name in asked.items()}
    cells, train = _cells(file, asked)
    kept: dict[str, Kept] = {}
    measured: dict[tuple[str, Cell], Any] = {}
    for m, (extractor, source) in extractors.items():
        if m not in cells:
            raise UserError(f"--extract {m}={extractor.name}: {file} has neither {m}_path nor {m}_text")
        rows = [cell for cell, learns in zip(cells[m], train, strict=True) if learns and _is_raw(cell)]
        for cell in dict.fromkeys(rows):
            measured[m, cell] = measure(extractor, source, cell)
            on_done()
        found = [measured[m, cell] for cell in rows if not isinstance(measured[m, cell], Unreadable)]
        if not found:
            why = next((f": {measured[m, cell]}" for cell in rows), "; all cells are empty, or features already")
            raise UserError(f"--extract {m}={extractor.name}: no training row could be read{why}")
        kept[m] = Kept(extractor, source, extractor.learn(found, source))
    return Extraction(kept, measured, on_done)


def _is_raw(cell: Cell | None) -> bool:
    return isinstance(cell, str) or (isinstance(cell, Path) and cell.suffix.lower() not in ARRAYS)


def _cells(file: Path, asked: Mapping[str, str]) -> tuple[dict[str, list[Any]], NDArray[np.bool_]]:
    """Cells per modality, and which rows are learned from."""
    if file.suffix.lower() in TABLES:
        table = read_columns(file)
        split = np.array(table["split"].to_pylist()) if "split" in table.column_names else None
        cells: dict[str, list[Any]] = dict(raw_cells(table, file.parent, asked))
        n = len(table)
    else:
        arrays = read_arrays(file)
        split = arrays.get("split")
        cells = {m: [w or None for w in a.reshape(-1).tolist()] for m, a in arrays.items() if a.dtype.kind == "U"}
        n = max(map(len, cells.values()), default=0)
    return cells, np.ones(n, dtype=bool) if split is None else np.asarray(split == TRAIN)
