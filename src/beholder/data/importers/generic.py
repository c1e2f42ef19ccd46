"""Your own labels: any CSV or TSV with a column of paths and a column of scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from beholder.data.columns import SPLITS, ManifestError, Split
from beholder.data.importers.tables import read_rows
from beholder.data.labels import Label


@dataclass(frozen=True)
class Columns:
    """Names of the columns to read; None for one the table does not have."""

    path: str
    score: str
    group: str | None = None
    """Rows with equal values stay in one split: a person, a product, a scene."""
    split: str | None = None
    score_std: str | None = None
    n_raters: str | None = None
    text: str | None = None


_SPLIT_WORDS: dict[str, Split] = {name: name for name in SPLITS} | {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
}


def generic(file: Path, columns: Columns) -> list[Label]:
    """Labels of a table with a header; separated by tabs where its name ends in `.tsv`. Other columns are kept."""
    named = {name: column for name, column in vars(columns).items() if column is not None}
    labels = []
    for place, cells in read_rows(file, tuple(named.values()), "\t" if file.suffix == ".tsv" else ","):
        known = {name: cells[column] for name, column in named.items()}
        labels.append(
            Label(
                known["path"],
                known["score"],
                place,
                split=read_split(known["split"], place) if "split" in known else None,
                score_std=known.get("score_std"),
                n_raters=known.get("n_raters"),
                text=known.get("text"),
                group=known.get("group"),
                extra={name: value for name, value in cells.items() if name not in named.values()},
            )
        )
    return labels


def read_split(word: str, place: str) -> Split:
    """Part named by a word such as `training` or `Validation`. Raises `ManifestError` on any other."""
    split = _SPLIT_WORDS.get(word.strip().lower())
    if split is None:
        raise ManifestError(f"{place}: split = {word!r}; allowed are {', '.join(_SPLIT_WORDS)}")
    return split
