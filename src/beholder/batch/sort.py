"""The order of rows in a table that is meant to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from beholder.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

SortKey = Literal["quality", "-quality", "aesthetics", "-aesthetics", "path", "-path"]
"""A column, smallest first; with `-` largest first."""


def check_sort(key: str) -> None:
    """Raise `UserError` for anything but a `SortKey`."""
    if key not in get_args(SortKey):
        raise UserError(f"--sort {key}: allowed are {', '.join(get_args(SortKey))}; with - the largest comes first")


def sorted_rows(rows: pa.Table, key: SortKey) -> pa.Table:
    """Rows by `key`; equal ones keep their order, and those without a value come last."""
    order = "descending" if key.startswith("-") else "ascending"
    return rows.sort_by([(key.removeprefix("-"), order)])
