from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from beholder.batch.files import SUFFIXES, read_rows, write_rows
from beholder.batch.rows import rows_table
from beholder.errors import UserError
from beholder.imaging.status import STATUSES
from beholder.scoring.card import Card
from beholder.scoring.score import Score

ODD_NAMES = [
    "plain.jpg",
    "with, comma.jpg",
    'with "quotes".jpg',
    "new\nline.jpg",
    "\r.jpg",
    "=1+1.jpg",
    " x ",
    "caf\udce9",
]


@pytest.fixture
def rows(tiny: Path) -> pa.Table:
    scored = [
        Score(
            quality=i / 7,
            aesthetics=None if i % 3 == 0 else 100 / (i + 1),
            quality_levels=(1 / 3, 1 / 7, 1e-9, 0.0, 1 - 1 / 3 - 1 / 7),
            aesthetics_levels=None if i % 3 == 0 else (0.2,) * 5,
            path=name,
            width=32 + i,
            height=40_000,
            note="animated: first of 12 frames" if i % 2 else None,
        )
        for i, name in enumerate(ODD_NAMES)
    ]
    failed = [Score(path=f"{status}.jpg", status=status, error=f'"{status}",\n\udce9') for status in STATUSES[1:]]
    return rows_table([*scored, *failed], Card.read(tiny / "card.json"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_holds_exactly_the_same(suffix: str, rows: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    write_rows([rows.slice(0, 5), rows.slice(5)], path)
    assert read_rows(path).equals(rows)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_table_without_rows_can_be_read_again(suffix: str, rows: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    write_rows([rows.slice(0, 0)], path)
    assert read_rows(path).equals(rows.slice(0, 0))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file(suffix: str, rows: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    path.write_text("old")

    def break_off() -> Iterator[pa.Table]:
        yield rows
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(break_off(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_has_one_column_per_level(rows: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write_rows([rows], path)
    header = path.read_text().splitlines()[0].replace('"', "").split(",")
    levels = [f"quality_{word}" for word in ("bad", "poor", "fair", "good", "perfect")]
    assert header[:8] == ["path", "quality", "aesthetics", *levels]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_no_table_of_scores_is_an_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"scores{suffix}"
    path.write_text("some,other\nfile,\n")
    with pytest.raises(UserError, match="not a table of scores"):
        read_rows(path)


def test_a_table_that_is_gone_is_a_users_error(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        with pytest.raises(UserError, match=f"there is no file .*gone{suffix}; the working folder is"):
            read_rows(tmp_path / f"gone{suffix}")
