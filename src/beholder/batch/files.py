"""Score tables as files: parquet, CSV and JSON lines with the same content, each appearing whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from beholder.batch.rows import SCHEMA
from beholder.errors import UserError
from beholder.task import LEVELS, TASKS

SUFFIXES = (".parquet", ".csv", ".jsonl")

_ROW_GROUP = 50_000
"""Rows per parquet row group: large enough to read fast, small enough (about 10 MB) that a merge stays flat."""


def check_suffix(path: Path) -> None:
    """Raise `UserError` unless the file name says a format that we write."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"can't tell a table format from the name {str(path)!r}: its ending is {path.suffix or '(none)'}, "
            f"allowed are {', '.join(SUFFIXES)}. Try {path.with_suffix('.parquet')}"
        )


def write_rows(tables: Iterable[pa.Table], path: Path, schema: pa.Schema = SCHEMA) -> None:
    """Write tables of `schema` one after the other as one file; the suffix of `path` chooses the format.

    Only a part of the rows is in memory at a time. A reader sees the old file or the whole new one, never a half.
    """
    check_suffix(path)
    write = {".parquet": _write_parquet, ".csv": _write_csv, ".jsonl": _write_jsonl}[path.suffix.lower()]
    with replacing(path) as temporary:
        write(_regrouped(tables), temporary, schema)


def read_rows(path: Path, schema: pa.Schema = SCHEMA) -> pa.Table:
    """The columns `schema` of a file that `write_rows` wrote. Raises `UserError` where it has them not."""
    check_suffix(path)
    read = {".parquet": _read_parquet, ".csv": _read_csv, ".jsonl": _read_jsonl}[path.suffix.lower()]
    try:
        return read(path, schema).select(schema.names).cast(schema)
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (pa.ArrowException, OSError, KeyError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path} is not a table of scores: {error}. Expected the columns {', '.join(schema.names)}, "
            "as `beholder score -o` writes them"
        ) from error


def column_names(path: Path) -> list[str]:
    """Names of the columns of a file that `write_rows` wrote, read from its head. Raises `UserError` for another."""
    check_suffix(path)
    try:
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            names: list[str] = pq.read_schema(path).names
            return names
        with path.open(encoding="utf-8") as file:
            head = file.readline()
        return next(csv.reader([head]), []) if path.suffix.lower() == ".csv" else list(json.loads(head))
    except FileNotFoundError as error:
        raise _missing(path) from error
    except (pa.ArrowException, OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not a table of scores: {error}") from error


def _missing(path: Path) -> UserError:
    return UserError(f"there is no file {path}; the working folder is {Path.cwd()}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, flushed to disk, when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors writes files that only their owner may read
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Delete temporary files that killed runs left beside `path`."""
    prefix = f".{path.name}.tmp-"
    for entry in path.parent.iterdir():
        if entry.name.startswith(prefix):
            entry.unlink(missing_ok=True)


def _regrouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _write_parquet(tables: Iterable[pa.Table], path: Path, schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)


def _read_parquet(path: Path, schema: pa.Schema) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path, columns=schema.names, partitioning=None)


def _level_columns(task: str) -> list[str]:
    return [f"{task}_{level}" for level in LEVELS]


def _csv_schema(schema: pa.Schema) -> pa.Schema:
    fields: list[pa.Field] = []
    for field in schema:
        task = field.name.removesuffix("_levels")
        flat = field.name != task
        fields += [pa.field(name, pa.float32()) for name in _level_columns(task)] if flat else [field]
    return pa.schema(fields)


def _write_csv(tables: Iterable[pa.Table], path: Path, schema: pa.Schema) -> None:
    from pyarrow.csv import CSVWriter

    schema = _csv_schema(schema)
    with CSVWriter(path, schema) as writer:
        for table in tables:
            columns = {name: table[name].combine_chunks() for name in table.column_names}
            for task in TASKS:
                levels = columns[f"{task}_levels"]
                missing = levels.is_null().to_numpy(zero_copy_only=False)
                values = levels.fill_null([0.0] * len(LEVELS)).flatten().to_numpy().reshape(-1, len(LEVELS))
                for name, column in zip(_level_columns(task), values.T, strict=True):
                    columns[name] = pa.array(column, pa.float32(), mask=missing)
            writer.write_table(pa.table([columns[name] for name in schema.names], schema=schema))


def _read_csv(path: Path, schema: pa.Schema) -> pa.Table:
    from pyarrow.csv import ConvertOptions, ParseOptions, read_csv

    types = ConvertOptions(
        column_types=_csv_schema(schema), include_columns=_csv_schema(schema).names,
        strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""],
    )  # fmt: skip
    table = read_csv(path, convert_options=types, parse_options=ParseOptions(newlines_in_values=True))
    columns: dict[str, Any] = {name: table[name] for name in table.column_names}
    for task in TASKS:
        levels = zip(*(columns[name].to_pylist() for name in _level_columns(task)), strict=True)
        rows = [None if None in row else row for row in levels]
        columns[f"{task}_levels"] = pa.array(rows, schema.field(f"{task}_levels").type)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _write_jsonl(tables: Iterable[pa.Table], path: Path, schema: pa.Schema) -> None:
    numbers = [field.name for field in schema if pa.types.is_float32(field.type)]
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for table in tables:
            for row in table.to_pylist():
                for name in numbers:
                    row[name] = _short(row[name])
                for task in TASKS:
                    levels = row[f"{task}_levels"]
                    row[f"{task}_levels"] = None if levels is None else [_short(p) for p in levels]
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _read_jsonl(path: Path, schema: pa.Schema) -> pa.Table:
    with path.open(encoding="utf-8") as file:
        return pa.Table.from_pylist([json.loads(line) for line in file], schema=schema)


def _short(value: float | None) -> float | None:
    """The float32 `value` with the 9 digits that name it exactly, not the 17 of a float64."""
    return None if value is None else float(f"{value:.9g}")
