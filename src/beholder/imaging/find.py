"""From what a person names (files, folders, globs, lists, tables) to an ordered list of picture paths."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from typing import TextIO

from beholder.errors import UserError
from beholder.imaging.formats import EXTENSIONS, SKIPPED_FOLDERS
from beholder.imaging.sources import TAR, is_address, split_member

PATH_COLUMNS = ("path", "file", "filename", "image", "uri")
"""Column of a table that holds the paths: the first of these that it has."""

TABLE_EXTENSIONS = (".csv", ".tsv", ".parquet")


class NothingFoundError(UserError):
    """An input that leads to no picture at all. The message says what to try."""


class TableError(UserError):
    """A CSV, TSV or Parquet file that can't be used as a list of pictures. The message says why."""


def find_images(inputs: Sequence[str], *, recursive: bool = True, stdin: TextIO | None = None) -> list[str]:
    """Paths of the pictures that `inputs` lead to, each once, in the order given; inside a folder sorted by name.

    An input is a file, a folder, a glob pattern (`**` crosses folders), `-` for a list on `stdin` (one path per
    line, or separated by zero bytes as from `find -print0`; `sys.stdin` by default), a .csv, .tsv or .parquet file with
    a column of paths (`PATH_COLUMNS`), whose relative entries are relative to the table, a .tar file, or an address
    (`beholder.imaging.addresses`). Tar files count where they are named or match a pattern, not in folders.

    In folders, names with a picture's extension count, read by us or not. What is named explicitly, in a list or in
    a table is kept even if it is missing (`[1].jpg`, too, if nothing matches it as a pattern), and so is a folder
    that can't be looked into: each gets a row that says so.

    Raises `NothingFoundError` for an input without any picture, `TableError` for an unusable table.
    """
    found: dict[str, None] = {}
    for entry in inputs:
        is_empty = True
        for path in _expand(entry, recursive, stdin):
            found[path.removeprefix("./")] = None
            is_empty = False
        if is_empty:
            raise NothingFoundError(_nothing_found(entry, recursive))
    return list(found)


def _expand(entry: str, recursive: bool, stdin: TextIO | None) -> Iterator[str]:
    if entry == "-":
        text = stdin.read() if stdin else os.fsdecode(sys.stdin.buffer.read())  # keeps names that are not UTF-8
        yield from filter(None, text.split("\0") if "\0" in text else text.splitlines())
    elif os.path.isdir(entry):
        yield from _walk(entry, recursive)
    elif split_member(entry) is not None:
        yield entry
    elif is_address(entry):
        from beholder.imaging.addresses import find_remote

        yield from find_remote(entry, recursive=recursive)
    elif _is_archive(entry):
        yield from _pictures_in(entry)
    elif entry.lower().endswith(TABLE_EXTENSIONS):
        yield from _read_table(entry)
    elif has_magic(entry) and not os.path.lexists(entry):  # a file may really be called `[1].jpg`
        matches = sorted(glob(entry, recursive=True))
        for match in matches:
            if os.path.isdir(match):
                yield from _walk(match, recursive)
            else:
                yield from _pictures_in(match) if _is_archive(match) else (match,)
        if not matches and _names_a_picture(entry):
            yield entry
    elif os.path.lexists(entry) or _names_a_picture(entry):
        yield entry


def _is_archive(entry: str) -> bool:
    return entry.lower().endswith(TAR) and os.path.isfile(entry)


def _pictures_in(archive: str) -> Iterator[str]:
    from beholder.imaging.archive import list_pictures

    yield from list_pictures(archive)


def _names_a_picture(entry: str) -> bool:
    """Whether a missing `entry` was meant as one file: brackets are common in names, `*` and `?` are not."""
    return not set("*?") & set(entry) and os.path.splitext(entry)[1].lower() in EXTENSIONS


def _walk(top: str, recursive: bool) -> Iterator[str]:
    """Pictures below a folder, files before folders, both sorted. A folder that links lead to twice is read once."""
    seen: set[tuple[int, int]] = set()
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            info = os.stat(folder)
            if (info.st_dev, info.st_ino) in seen:
                continue
            seen.add((info.st_dev, info.st_ino))
            with os.scandir(folder) as entries:
                visible = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        except OSError:
            yield folder
            continue
        below = []
        for entry in visible:
            if _is_folder(entry):
                below.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                yield entry.path
        if recursive:
            pending += [path for path in reversed(below) if os.path.basename(path) not in SKIPPED_FOLDERS]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points to itself
        return False


def _read_table(table: str) -> Iterator[str]:
    import pyarrow as pa  # here: it takes longer to import than all else together, and most runs have no table
    from pyarrow import csv, parquet

    try:
        if table.lower().endswith(".parquet"):
            names = parquet.read_schema(table).names
            column = _path_column(table, names)
            values = parquet.read_table(table, columns=[column]).column(column)
        else:
            delimiter = "\t" if table.lower().endswith(".tsv") else ","
            parsing = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
            with csv.open_csv(table, parse_options=parsing) as reader:
                names = reader.schema.names
            column = _path_column(table, names)
            wanted = csv.ConvertOptions(include_columns=[column], column_types={column: pa.string()})
            values = csv.read_csv(table, parse_options=parsing, convert_options=wanted).column(column)
    except (pa.ArrowException, OSError) as err:
        raise TableError(f"table {table!r} can't be read: {err}") from err
    folder = os.path.dirname(table)
    for row, value in enumerate(values.to_pylist(), start=1):
        if not isinstance(value, str) or not value:
            raise TableError(f"table {table!r}, row {row}: column {column!r} holds {value!r}, expected a path")
        yield value if "://" in value else os.path.join(folder, value)


def _path_column(table: str, names: list[str]) -> str:
    for wanted in PATH_COLUMNS:
        for name in names:
            if name.lower() == wanted:
                return name
    raise TableError(
        f"table {table!r} has the columns {', '.join(names)}; the one with the paths must be called "
        f"{', '.join(PATH_COLUMNS[:-1])} or {PATH_COLUMNS[-1]}."
    )


def _nothing_found(entry: str, recursive: bool) -> str:
    if entry == "-":
        return "no paths came on standard input; give one path per line, e.g. find . -name '*.jpg' | beholder score -"
    if os.path.isdir(entry):
        deeper = "" if recursive else " Pictures in folders below it count only with --recursive."
        return f"folder {entry!r} holds no pictures; looked for {', '.join(list(EXTENSIONS)[:6])}, ...{deeper}"
    if entry.lower().endswith(TABLE_EXTENSIONS):
        return f"table {entry!r} has no rows"
    if is_address(entry):
        return f"there are no pictures at {entry!r}"
    if _is_archive(entry):
        return f"archive {entry!r} holds no pictures; looked for {', '.join(list(EXTENSIONS)[:6])}, ..."
    if has_magic(entry):
        return f"pattern {entry!r} matches nothing; check the folder, and the case of the extension"
    return f"no file or folder is called {entry!r}; the working folder is {os.getcwd()!r}"
