"""A labelled set of pictures: one table of rows, one `dataset.toml` that declares what the numbers mean.

A manifest is a folder with `dataset.toml` and `manifest.csv` or `manifest.parquet`. The columns `path`, `score` and
`split` are required; `score_std`, `n_raters`, `text` and `group` are known; any further column is kept as it is.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from beholder.data.columns import ManifestError, Place, Split, make_table, unknown, utf8_only
from beholder.task import TASKS, ScoreRange, Task

SplitBy = Literal["official", "row", "reference", "subject", "theme", "scene", "group"]
"""How the parts were made. `official`: as the authors of the set did. `row`: each picture for itself. The others name
what the `group` column holds, which is never on two sides: a reference picture, a person, a theme, one scene."""
SPLIT_BYS: tuple[SplitBy, ...] = get_args(SplitBy)


@dataclass(frozen=True)
class Manifest:
    """Rows of a labelled set and the facts that give its scores a meaning. Checked where it is made."""

    name: str
    """Short name of the set, e.g. `koniq10k`."""
    task: Task
    range: ScoreRange
    """Declared scale of `score`; every score lies inside it."""
    split_by: SplitBy
    licence: str
    """Of the pictures and labels, in the source's own words."""
    source: str
    """Where the set comes from: a citation, an address."""
    image_root: Path
    """Absolute folder that `path` is relative to."""
    table: pa.Table
    """path string, score float64, split string; further columns as the module says. One row per picture."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def select(self, split: Split) -> Manifest:
        """The rows of one split, in their order. Raises `ManifestError` on a split that has no rows."""
        part = self.table.filter(pc.equal(self.table["split"], split))
        if part.num_rows == 0:
            have = ", ".join(sorted(set(self.column("split")))) or "none at all"
            raise ManifestError(f"{self.name} has no rows in split {split!r}; it has {have}. Try one of these.")
        return replace(self, table=part)

    def paths(self) -> list[Path]:
        """Absolute path of each picture, in row order. Nothing is opened."""
        return [self.image_root / name for name in self.column("path")]

    def scores(self) -> NDArray[np.float64]:
        """(n,) native scores, in the declared range."""
        return np.asarray(self.table["score"].to_numpy(), dtype=np.float64)

    def unit_scores(self) -> NDArray[np.float64]:
        """(n,) scores in [0, 1], higher is better."""
        return np.array([self.range.to_unit(score) for score in self.scores()], dtype=np.float64)

    def column(self, name: str) -> list[Any]:
        """One column as a list, None where a value is missing. Raises `ManifestError` on an unknown name."""
        if name not in self.table.column_names:
            raise ManifestError(unknown("column", name, self.table.column_names, f"manifest {self.name}"))
        return list(self.table[name].to_pylist())

    def groups(self) -> list[str]:
        """What must stay on one side of a split, per row: the `group`, or the row's own path where it has none."""
        paths: list[str] = self.column("path")
        if "group" not in self.table.column_names:
            return paths
        return [path if group is None else group for path, group in zip(paths, self.column("group"), strict=True)]

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> Manifest:
        """A copy with columns added or replaced; checked like a new manifest."""
        kept = {name: self.column(name) for name in self.table.column_names}
        table = make_table(kept | dict(columns), self.range, lambda row: f"{self.name} row {row + 1}")
        return replace(self, table=table)

    @cached_property
    def sha256(self) -> str:
        """Hash of what training and evaluation see: task, range, and path, score and split of each row.

        The order of rows, where the pictures lie on this machine and the file format do not change it.
        """
        low, high = float(self.range.low), float(self.range.high)  # 0 and 0.0 are one end
        head = f"{self.task} {low!r} {high!r} {self.range.higher_is_better}"
        names, scores, splits = self.column("path"), self.column("score"), self.column("split")
        digest = hashlib.sha256(head.encode())
        for row in sorted(zip(names, scores, splits, strict=True)):
            digest.update("\n{}\t{!r}\t{}".format(*row).encode())
        return digest.hexdigest()


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from its folder, or from the CSV or Parquet file in it.

    Raises `LabelRangeError` for a score outside the declared range, and `ManifestError` for everything else: no such
    file, a missing, unknown or mistyped key, a missing column, an empty or non-finite score, a path twice.
    """
    file = _table_file(path)
    toml = file.parent / "dataset.toml"
    if not toml.is_file():
        raise ManifestError(f"{toml} is missing: it declares range and direction of the scores in {file.name}")
    facts = _read_facts(toml)
    columns, place = _read_csv(file) if file.suffix == ".csv" else _read_parquet(file)
    image_root = (file.parent / Path(facts.pop("image_root")).expanduser()).resolve()
    return Manifest(**facts, image_root=image_root, table=make_table(columns, facts["range"], place))


def write_manifest(manifest: Manifest, folder: Path, table_format: Literal["csv", "parquet"] = "csv") -> Path:
    """Write `dataset.toml` and `manifest.csv` or `.parquet` into `folder` (made if missing); returns the table's path.

    Each file appears whole or not at all. Reading it back gives the same rows and the same `sha256`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    if table_format == "csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(manifest.table.column_names)
        writer.writerows(zip(*(manifest.table[name].to_pylist() for name in manifest.table.column_names), strict=True))
        buffer.write(text.getvalue().encode())
    else:
        pq.write_table(manifest.table, buffer)
    file = folder / f"manifest.{table_format}"
    _replace_file(file, buffer.getvalue())
    _replace_file(folder / "dataset.toml", _facts_text(manifest, folder).encode())
    (folder / f"manifest.{'parquet' if table_format == 'csv' else 'csv'}").unlink(missing_ok=True)
    return file


def _table_file(path: Path) -> Path:
    if path.is_dir():
        found = [file for file in (path / "manifest.csv", path / "manifest.parquet") if file.is_file()]
        if not found:
            raise ManifestError(f"{path} holds no manifest.csv and no manifest.parquet. Try `beholder data import`.")
        if len(found) == 2:
            raise ManifestError(f"{path} holds manifest.csv and manifest.parquet; name the one you mean")
        return found[0]
    if not path.is_file():
        raise ManifestError(f"{path} does not exist; give a manifest's folder, or its CSV or Parquet file")
    if path.suffix not in {".csv", ".parquet"}:
        raise ManifestError(f"{path.name} ends in {path.suffix!r}; a manifest is a .csv or a .parquet file")
    return path


def _read_csv(file: Path) -> tuple[dict[str, list[str]], Place]:
    with utf8_only(file), file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise ManifestError(f"{file} line 1: column {twice[0]!r} is there twice")
        rows, lines = [], [1]
        for cells in reader:
            if not cells:
                continue  # an empty line, often the last
            if len(cells) != len(header):
                raise ManifestError(f"{file} line {reader.line_num}: {len(cells)} cells under {len(header)} columns")
            rows.append(cells)
            lines.append(reader.line_num)
    columns = {name: [cells[i] for cells in rows] for i, name in enumerate(header)}
    return columns, lambda row: f"{file} line {lines[min(row + 1, len(lines) - 1)]}"


def _read_parquet(file: Path) -> tuple[dict[str, list[Any]], Place]:
    try:
        columns: dict[str, list[Any]] = pq.read_table(file).to_pydict()
    except (pa.ArrowException, OSError) as error:  # Arrow's OSErrors have no strerror
        raise ManifestError(f"{file} is not a Parquet file we can read: {error}") from None
    return columns, lambda row: f"{file} row {row + 1}"


_FACTS: dict[str, type] = dict.fromkeys(("name", "task", "licence", "source", "split_by", "image_root"), str)
_RANGE: dict[str, type] = {"low": float, "high": float, "higher_is_better": bool}


def _read_facts(toml: Path) -> dict[str, Any]:
    try:
        facts = tomllib.loads(toml.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{toml} is not valid TOML: {error}") from None
    _check_keys(facts, _FACTS | {"range": dict}, str(toml))
    _check_keys(facts["range"], _RANGE, f"{toml} [range]")
    for key, allowed in (("task", TASKS), ("split_by", SPLIT_BYS)):
        if facts[key] not in allowed:
            raise ManifestError(f"{toml}: {key} = {facts[key]!r}; allowed are {', '.join(allowed)}")
    try:
        facts["range"] = ScoreRange(**facts["range"])
    except ValueError as error:
        raise ManifestError(f"{toml}: {error}") from None
    return facts


def _check_keys(found: dict[str, Any], expected: dict[str, type], where: str) -> None:
    for key in found:
        if key not in expected:
            raise ManifestError(unknown("key", key, list(expected), where))
    for key, kind in expected.items():
        if key not in found:
            raise ManifestError(f"{where}: key {key!r} is missing; needed are {', '.join(expected)}")
        value = found[key]
        fits = isinstance(value, kind) or (kind is float and isinstance(value, int) and not isinstance(value, bool))
        if not fits:
            raise ManifestError(f"{where}: {key} = {value!r} is a {type(value).__name__}; it must be a {kind.__name__}")


def _facts_text(manifest: Manifest, folder: Path) -> str:
    root, home = manifest.image_root, folder.resolve()
    inside = root.relative_to(home).as_posix() if root.is_relative_to(home) else root.as_posix()
    values = {
        "name": manifest.name,
        "task": manifest.task,
        "licence": manifest.licence,
        "source": manifest.source,
        "split_by": manifest.split_by,
        "image_root": inside,
    }
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items()]
    declared = manifest.range
    lines += ["", "[range]", f"low = {float(declared.low)!r}", f"high = {float(declared.high)!r}"]
    lines += [f"higher_is_better = {str(declared.higher_is_better).lower()}", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A TOML basic string: backslash, quote and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() or ord(c) > 127 else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _replace_file(file: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        temporary.chmod(0o644)  # mkstemp gives 0600, which would hide a shared manifest from colleagues
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
