"""Which rows are wanted, best first: limits, near-duplicates, the top, an equal share for each folder."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import pyarrow as pa
import pyarrow.compute as pc

from beholder.batch.rows import path_from_text
from beholder.errors import UserError
from beholder.imaging.sources import file_below
from beholder.selection.alike import group_alike
from beholder.selection.expression import COLUMNS, COLUMNS_OF_BOTH, Kind, parse
from beholder.task import TASKS


@dataclass(frozen=True)
class Wanted:
    """What a person asks for, in the words of the command line."""

    where: str | None = None
    """`--where`: rows for which this expression is true."""
    top: str | None = None
    """`--top`: `20%` or `500` of what is left."""
    by: str | None = None
    """`--by`: a number, largest first; by default the first score that the table has."""
    balance: str | None = None
    """`--balance`: a column of text whose values get equal shares of `top`."""
    unique: float | None = None
    """Agreement, above 0 to 1, from which only the best of near-duplicates is kept."""


@dataclass(frozen=True)
class Selection:
    """The chosen rows, and how many were left out on the way to them."""

    rows: pa.Table
    """With the columns that they had, best first; equal ones by path."""
    by: str
    """What they are ordered by."""
    n_rows: int
    n_scored: int
    n_matching: int
    """Scored rows that `where` is true of and that have a value of `by`."""
    n_unique: int
    """Of those, the ones left when near-duplicates are gone."""
    not_compared: dict[str, str]
    """Path to reason, where a picture could not be opened to be compared; it counts as unlike all others."""


def choose(rows: pa.Table, wanted: Wanted, pictures: str | os.PathLike[str] = ".") -> Selection:
    """Choose among `rows` of `batch.rows.SCHEMA` or `batch.picks.SCHEMA_OF_BOTH`.

    Files are opened for `wanted.unique` only, relative to `pictures`. In this order: `where`, near-duplicates, then
    `top` with `balance`. Raises `UserError` for a wish that can't be read, a picture that is there twice, and where
    nothing is left.
    """
    n_of = _parse_top(wanted.top)
    columns = COLUMNS_OF_BOTH if "picked" in rows.column_names else COLUMNS
    _check_balance(wanted, columns)
    scored = rows.filter(pc.equal(rows["status"], "ok"))
    if not len(scored):
        raise UserError(f"none of the {len(rows):,} rows has a score, so there is nothing to select")
    paths = scored["path"].to_pylist()
    if len(set(paths)) < len(paths):
        path, n = Counter(paths).most_common(1)[0]
        raise UserError(f"{path!r} is in the table {n} times; each picture may be there once")
    folders = [os.path.dirname(path) or "." for path in paths]
    by = wanted.by or _first_score(scored)
    matches, values = _evaluate(
        scored.append_column("folder", pa.array(folders, pa.string())), wanted.where, by, columns
    )
    order = sorted((i for i, is_match in enumerate(matches) if is_match), key=lambda i: (-values[i], paths[i]))
    n_matching, not_compared = len(order), {}
    if not order:
        raise UserError(_nothing_left(scored, wanted.where, by))
    if wanted.unique is not None:
        groups, failed = group_alike([file_below(pictures, path_from_text(paths[i])) for i in order], wanted.unique)
        not_compared = {paths[order[at]]: reason for at, reason in failed.items()}
        order = [i for at, i in enumerate(order) if groups[at] == at]  # a group has the number of its first: the best
    n_unique = len(order)
    if wanted.balance is not None:
        column = folders if wanted.balance == "folder" else scored[wanted.balance].to_pylist()
        order = [order[at] for at in _equal_shares([column[i] for i in order], n_of(n_unique))]
    else:
        order = order[: n_of(n_unique)]
    chosen = scored.take(pa.array(order, pa.int64()))
    return Selection(chosen, by, len(rows), len(scored), n_matching, n_unique, not_compared)


def _parse_top(text: str | None) -> Callable[[int], int]:
    """How many of how many: `20%`, rounded up, or `500`.

    >>> _parse_top("7%")(100), _parse_top("20%")(7), _parse_top("500")(7)
    (7, 2, 7)
    """
    if text is None:
        return lambda n: n
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%|(\d+)", text.strip(), re.ASCII)
    share = Fraction(found[1]) / 100 if found and found[1] else None  # exact: 0.07 * 100 is above 7 in floating point
    number = int(found[2]) if found and found[2] else None
    if share is not None and 0 < share <= 1:
        return lambda n: math.ceil(n * share)
    if number is not None and number > 0:
        return lambda n: min(n, number)
    raise UserError(f"--top {text}: allowed are a share above 0% to 100% or a number from 1, such as 20% or 500")


def _check_balance(wanted: Wanted, columns: Mapping[str, Kind]) -> None:
    if wanted.balance is None:
        return
    texts = [name for name, kind in columns.items() if kind == "text"]
    if wanted.balance not in texts:
        raise UserError(f"--balance {wanted.balance}: allowed are columns of text, {', '.join(texts)}")
    if wanted.top is None:
        raise UserError(f"--balance {wanted.balance} shares out what --top allows. Try: --top 20%")


def _first_score(scored: pa.Table) -> str:
    return next(task for task in TASKS if scored[task].null_count < len(scored))


def _evaluate(
    table: pa.Table, where: str | None, by: str, columns: Mapping[str, Kind]
) -> tuple[list[bool], list[float]]:
    """For each row whether it counts, and the value that ranks it."""
    from pyarrow import acero  # here: it takes longer to import than all else together, for `--help` too

    asked = [
        pc.scalar(True) if where is None else parse(where, kind="truth", option="--where", columns=columns),
        parse(by, kind="number", option="--by", columns=columns),
    ]
    steps = [
        acero.Declaration("table_source", acero.TableSourceNodeOptions(table.select(list(columns)))),
        acero.Declaration("project", acero.ProjectNodeOptions(asked, ["matches", "value"])),
    ]
    found = acero.Declaration.from_sequence(steps).to_table(use_threads=False)  # threads would mix up the rows
    values = [math.nan if value is None else value for value in found["value"].to_pylist()]
    matches = [bool(is_match) for is_match in found["matches"].to_pylist()]
    return [is_match and not math.isnan(value) for is_match, value in zip(matches, values, strict=True)], values


def _equal_shares(groups: Sequence[Hashable], n: int) -> list[int]:
    """Places of `n` members, in order: every group's first before any group's second, and so on.

    >>> _equal_shares(["a", "a", "a", "b", "a", "b"], 4)
    [0, 1, 3, 5]
    """
    seen: Counter[Hashable] = Counter()
    turns = []
    for at, group in enumerate(groups):
        turns.append((seen[group], at))
        seen[group] += 1
    return sorted(at for _, at in sorted(turns)[:n])


def _nothing_left(scored: pa.Table, where: str | None, by: str) -> str:
    ranges = []
    for task in TASKS:
        low, high = pc.min_max(scored[task]).as_py().values()
        ranges.append(f"{task} has no values" if low is None else f"{task} runs from {low:.1f} to {high:.1f}")
    asked = f"--where {where!r} " if where else ""
    return f"{asked}--by {by!r}: none of {len(scored):,} scored pictures is left; {' and '.join(ranges)}"
