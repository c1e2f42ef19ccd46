"""The columns of a manifest: what each holds, and the checks that no row escapes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args

import pyarrow as pa

from beholder.errors import UserError
from beholder.task import ScoreRange

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

REQUIRED = {"path": pa.string(), "score": pa.float64(), "split": pa.string()}
OPTIONAL = {"score_std": pa.float64(), "n_raters": pa.int64(), "text": pa.string(), "group": pa.string()}
_KNOWN = REQUIRED | OPTIONAL

Place = Callable[[int], str]
"""Where a row was read, for messages: row index to e.g. `labels.csv line 7`."""


class ManifestError(UserError):
    """A manifest that can't be used as it is; the message says which line, what was found and what is allowed."""


class LabelRangeError(ManifestError):
    """A score outside the range that its data set declares."""


def make_table(columns: Mapping[str, Sequence[Any]], declared: ScoreRange, place: Place) -> pa.Table:
    """Check columns and give them their types. Empty text in a known column is a missing value.

    `place` names a row in messages. Raises `LabelRangeError` and `ManifestError` as `read_manifest` does.
    """
    for name in REQUIRED:
        if name not in columns:
            raise ManifestError(
                f"column {name!r} is missing; {place(0)} and on have {', '.join(columns) or 'no columns'}. "
                f"Needed: {', '.join(REQUIRED)}; known: {', '.join(OPTIONAL)}. "
                "Try `beholder data import generic --path-col ... --score-col ...` for a table with other names."
            )
    if not columns["path"]:
        raise ManifestError(f"no rows after {place(-1)}; a manifest needs at least one")
    table = {}
    for name, values in columns.items():
        if name not in _KNOWN:
            table[name] = pa.array(values)
            continue
        convert = {pa.string(): _text, pa.float64(): _number, pa.int64(): _count}[_KNOWN[name]]
        cells = [convert(value, name, row, place) for row, value in enumerate(values)]
        if name in REQUIRED and None in cells:
            raise ManifestError(f"{place(cells.index(None))}: {name} is empty; every row needs one")
        table[name] = pa.array(cells, type=_KNOWN[name])
    ordered = [name for name in _KNOWN if name in table] + [name for name in table if name not in _KNOWN]
    made = pa.table({name: table[name] for name in ordered})
    _check_paths(made["path"].to_pylist(), place)
    _check_splits(made["split"].to_pylist(), place)
    _check_range(made["score"].to_pylist(), declared, place)
    return made


def _check_paths(paths: list[str], place: Place) -> None:
    first: dict[str, int] = {}
    for row, path in enumerate(paths):
        if path in first:
            raise ManifestError(f"{place(row)}: path {path!r} was already there at {place(first[path])}; keep one row")
        first[path] = row


def _check_splits(splits: list[str], place: Place) -> None:
    for row, split in enumerate(splits):
        if split not in SPLITS:
            raise ManifestError(f"{place(row)}: split = {split!r}; allowed are {', '.join(SPLITS)}")


def _check_range(scores: list[float], declared: ScoreRange, place: Place) -> None:
    low, high = declared.low, declared.high
    for row, score in enumerate(scores):
        if not low <= score <= high:
            least, most = min(scores), max(scores)
            raise LabelRangeError(
                f"{place(row)}: score = {score:g} is outside the declared range {low:g} to {high:g}. "
                f"This column runs from {least:g} to {most:g} over {len(scores)} rows. Try the range "
                f"{math.floor(min(low, least)):g} {math.ceil(max(high, most)):g} if that is the rating scale; "
                "beholder never guesses one."
            )


def _text(value: object, name: str, row: int, place: Place) -> str | None:
    return None if value is None or value == "" else str(value)


def _number(value: Any, name: str, row: int, place: Place) -> float | None:
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ManifestError(f"{place(row)}: {name} = {value!r} is not a number") from None
    if not math.isfinite(number):
        raise ManifestError(f"{place(row)}: {name} = {value} is not finite; leave the row out or give it a number")
    return number


def _count(value: Any, name: str, row: int, place: Place) -> int | None:
    number = _number(value, name, row, place)
    if number is None:
        return None
    if number != int(number) or number < 0:
        raise ManifestError(f"{place(row)}: {name} = {value} is not a count; allowed are 0, 1, 2, ...")
    return int(number)


def unknown(what: str, name: str, known: list[str], where: str) -> str:
    """Message about a name that nothing has: where, what, and the nearest known name or all of them."""
    near = get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}."
    return f"{where}: unknown {what} {name!r}. {hint}"


@contextmanager
def utf8_only(file: Path) -> Iterator[None]:
    """Turn the decoding error of a text file in another encoding into a `ManifestError` that says what to do."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{file} is not UTF-8 text (byte {error.object[error.start]:#04x}); "
            "save it again as UTF-8, which spreadsheets call 'CSV UTF-8'"
        ) from None
