"""Rows of a sheet, from a workbook or from its CSV export."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from beholder.data.columns import ManifestError, utf8_only
from beholder.data.importers.tables import Cells


def read_sheet(file: Path, columns: Sequence[str], sheet: str | None = None) -> Iterator[tuple[str, Cells]]:
    """Place and cells of each row below the header, which is the first row that holds all of `columns`.

    `file` ends in `.xlsx` (its sheet `sheet`, or the first) or in `.csv`. Rows with an empty first column are passed
    over: workbooks end in them. Raises `ManifestError` if no row is such a header.
    """
    at: dict[str, int] | None = None
    for place, row in _csv_rows(file) if file.suffix == ".csv" else _xlsx_rows(file, sheet):
        if at is None:
            if set(columns) <= set(row):
                at = {name: row.index(name) for name in columns}
            continue
        cells = {name: row[i] if i < len(row) else "" for name, i in at.items()}
        if cells[columns[0]]:
            yield place, cells
    if at is None:
        raise ManifestError(f"{file} has no row with the columns {', '.join(columns)}")


def _csv_rows(file: Path) -> Iterator[tuple[str, list[str]]]:
    with utf8_only(file), file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        for row in reader:
            yield f"{file} line {reader.line_num}", [cell.strip() for cell in row]


def _xlsx_rows(file: Path, sheet: str | None) -> Iterator[tuple[str, list[str]]]:
    try:
        from openpyxl import load_workbook  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ModuleNotFoundError:
        raise ManifestError(
            f"reading {file.name} needs openpyxl. Try: pip install openpyxl, or save the sheet as "
            f"{file.with_suffix('.csv').name} beside it"
        ) from None
    workbook = load_workbook(file, read_only=True, data_only=True)
    try:
        if sheet is not None and sheet not in workbook.sheetnames:
            raise ManifestError(f"{file} has no sheet {sheet!r}; it has {', '.join(workbook.sheetnames)}")
        rows: Iterable[Sequence[object]] = workbook[sheet or workbook.sheetnames[0]].iter_rows(values_only=True)
        for number, row in enumerate(rows, 1):
            yield f"{file} row {number}", ["" if cell is None else str(cell).strip() for cell in row]
    finally:
        workbook.close()
