from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rows_equal import assert_same_rows
from tiny_model import write_tiny_checkpoint

import beholder
from beholder.batch.files import SUFFIXES, read_rows
from beholder.errors import UserError


@pytest.fixture
def mixed(photos: Path, tmp_path: Path) -> Path:
    """A folder of twelve photos, of which the fourth and the ninth are empty files."""
    folder = tmp_path / "mixed"
    shutil.copytree(photos, folder)
    for name in ("03.jpg", "08.jpg"):
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_retry_scores_what_failed_and_keeps_the_rest(
    suffix: str, mixed: Path, photos: Path, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"scores{suffix}"
    assert beholder.score(mixed, model=tiny, out=out, workers=1).summary.counts == {"ok": 10, "unreadable": 2}
    before = read_rows(out)
    shutil.copy(photos / "03.jpg", mixed)
    run = beholder.score(model=tiny, out=out, retry_failed=True, workers=1)
    assert (run.summary.n_scored, run.summary.counts) == (2, {"ok": 11, "unreadable": 1})
    others = [i for i in range(12) if i != 3]
    assert run.table.take(others).equals(before.take(others))
    assert_same_rows(run.table.slice(3, 1), beholder.score(mixed / "03.jpg", model=tiny, workers=1).table)


def test_retry_can_be_narrowed_to_some_inputs(mixed: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    beholder.score(mixed, model=tiny, out=out, workers=1)
    run = beholder.score([mixed / "08.jpg", mixed / "00.jpg"], model=tiny, out=out, retry_failed=True, workers=1)
    assert run.summary.n_scored == 1


def test_retry_with_more_pixels_allowed_scores_what_was_too_large(photos: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    first = beholder.score(photos, model=tiny, out=out, max_pixels=10_000, workers=1)
    assert first.summary.counts == {"ok": 8, "too_large": 4}
    assert beholder.score(model=tiny, out=out, retry_failed=True, workers=1).summary.counts == {"ok": 12}


def test_one_file_holds_one_models_scores(mixed: Path, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    beholder.score(mixed, model=tiny, out=out, workers=1)
    other = write_tiny_checkpoint(tmp_path / "other", seed=1, name="other")
    with pytest.raises(UserError, match="model = tiny, this run has other"):
        beholder.score(model=other, out=out, retry_failed=True)
    with pytest.raises(UserError, match="scored with aesthetics"):
        beholder.score(model=tiny, out=out, retry_failed=True, task="quality")


def test_there_must_be_something_to_retry(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        beholder.score(model=tiny, out=tmp_path / "scores.csv", retry_failed=True)
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("name,value\na,1\n")
    with pytest.raises(UserError, match="not a table of scores"):
        beholder.score(model=tiny, out=foreign, retry_failed=True)
